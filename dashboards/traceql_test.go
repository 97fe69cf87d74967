package dashboards

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/dashboards/interpolate"
	"lapwing/dashboards/traceql"
)

// typed are values for the variables that are typed in, as a reader might.
var typed = map[string]string{"longer": "250ms", "condition": `span.http.route = "/orders/{id}"`, "trace": "4bf92f3577b34da6"}

// texts fills a TraceQL query: as it is written, as Grafana's editor sees it,
// with what its variables are at first, and with what is typed.
func texts(t *testing.T, d *Dashboard, query string) (filled []string) {
	t.Helper()
	first, later := chosenIn(d), chosenIn(d)
	for _, v := range d.Templating.List {
		if text, ok := v.Query.(string); ok && v.Type == "textbox" {
			first.Variables[v.Name] = interpolate.Variable{Values: []string{text}}
			require.Contains(t, typed, v.Name)
			later.Variables[v.Name] = interpolate.Variable{Values: []string{typed[v.Name]}}
		}
	}
	for _, c := range []interpolate.Choice{first, later} {
		text, err := c.TraceQL(query)
		require.NoError(t, err)
		filled = append(filled, text)
	}
	return append(filled, query)
}

// TestTraceQL lets Grafana's own grammar read every query for Tempo.
func TestTraceQL(t *testing.T) {
	read := 0
	for _, d := range All() {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				if target.Source != Tempo || target.Query == "${trace}" { // a trace's identifier
					continue
				}
				for _, query := range texts(t, d, target.Query) {
					read++
					_, err := traceql.Parse(query)
					assert.NoError(t, err, "%s, %s", d.Title, p.Title)
				}
			}
		}
	}
	assert.Equal(t, 3*6, read, "six queries, of a service and of one request")
}

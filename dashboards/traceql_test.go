package dashboards

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/dashboards/interpolate"
	"lapwing/dashboards/traceql"
)

// typed are values for the text variables, as a user might type them.
var typed = map[string]string{"longer": "250ms", "condition": `span.http.route = "/orders/{id}"`, "trace": "4bf92f3577b34da6"}

// texts returns variants of a TraceQL query: as written, as in Grafana's
// editor, with the initial values of its variables, and with typed values.
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

// TestTraceQL parses every query for Tempo with Grafana's own grammar.
func TestTraceQL(t *testing.T) {
	read := 0
	for _, d := range All() {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				if target.Source != Tempo || target.Query == "${trace}" { // a trace identifier
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

package dashboards

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// units are the units of Grafana that the dashboards use. The published schema
// does not list them.
var units = []string{"none", "s", "ns", "reqps", "cps", "percentunit", "bytes"}

// faults returns what is wrong with a single panel.
func faults(p *Panel) (out []string) {
	if p.Type == "row" {
		return nil
	}
	report := func(wrong bool, fault string) {
		if wrong {
			out = append(out, fmt.Sprintf("%q: %s", p.Title, fault))
		}
	}
	report(!strings.HasSuffix(p.Title, "?"), "the title is not a question")
	report(len(p.Description) < 20, "the description does not say how to read it")
	report(p.FieldConfig == nil || !slices.Contains(units, p.FieldConfig.Defaults.Unit), "the unit is missing or unknown")
	report(len(p.Targets) == 0, "there is no query")
	for i, t := range p.Targets {
		report(slices.ContainsFunc(p.Targets[:i], func(u Target) bool { return u.RefID == t.RefID }), "two queries have one name")
	}
	report(len(p.Links) == 0 && len(p.FieldConfig.Defaults.Links) == 0, "nothing leads onward")
	return out
}

// overlap lists panels that overlap or are outside the grid.
func overlap(panels []*Panel) (out []string) {
	taken := map[[2]int]string{}
	for _, p := range panels {
		g := p.Grid
		if g.W < 1 || g.H < 1 || g.X < 0 || g.Y < 0 || g.X+g.W > gridWidth {
			out = append(out, fmt.Sprintf("%q is outside of the grid: %+v", p.Title, g))
		}
		hit := map[string]bool{}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok {
					hit[other] = true
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for other := range hit {
			out = append(out, fmt.Sprintf("%q is over %q", p.Title, other))
		}
	}
	return out
}

func TestPanels(t *testing.T) {
	for _, d := range All() {
		ids := map[int]bool{}
		for _, p := range d.Panels {
			assert.Empty(t, faults(p), d.Title)
			assert.False(t, ids[p.ID], "%s: two panels have the number %d", d.Title, p.ID)
			ids[p.ID] = true
		}
		assert.Empty(t, overlap(d.Panels), d.Title)
		assert.NotEmpty(t, d.Description, d.Title)
	}
}

func TestFaultsAreFound(t *testing.T) {
	assert.Len(t, faults(&Panel{Type: "stat", Title: "Rate", FieldConfig: &FieldConfig{}}), 5)
	panels := []*Panel{{Title: "a", Grid: Grid{H: 4, W: 12}}, {Title: "b", Grid: Grid{H: 4, W: 12, X: 11, Y: 3}}, {Title: "c", Grid: Grid{H: 1, W: 12, X: 13, Y: 9}}}
	assert.Equal(t, []string{`"b" is over "a"`, `"c" is outside of the grid: {H:1 W:12 X:13 Y:9}`}, overlap(panels))
}

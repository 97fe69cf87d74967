package dashboards

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/dashboards/interpolate"
)

// linksOf returns all links of a panel.
func linksOf(p *Panel) []Link {
	links := slices.Clone(p.Links)
	if p.FieldConfig == nil {
		return links
	}
	links = append(links, p.FieldConfig.Defaults.Links...)
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if more, ok := property.Value.([]Link); ok {
				links = append(links, more...)
			}
		}
	}
	return links
}

func (d *Dashboard) hasVariable(name string) bool {
	return slices.ContainsFunc(d.Templating.List, func(v Variable) bool { return v.Name == name })
}

// deadLink returns what is wrong with a link of a dashboard, empty if nothing
// is. The target must exist and have the variables that the link sets. The
// dashboard of the link must have the variables that the link uses.
func deadLink(all []*Dashboard, from *Dashboard, l Link) string {
	path, query, _ := strings.Cut(l.URL, "?")
	i := slices.IndexFunc(all, func(d *Dashboard) bool { return "/d/"+d.UID == path })
	if i < 0 {
		return fmt.Sprintf("%s: there is no dashboard at %s", l.Title, path)
	}
	if !strings.Contains(query, keepTime) {
		return l.Title + ": the time range is not kept"
	}
	for _, part := range strings.Split(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if set, ok := strings.CutPrefix(name, "var-"); ok && !all[i].hasVariable(set) {
			return fmt.Sprintf("%s: %s has no variable %s", l.Title, all[i].UID, set)
		}
	}
	for _, name := range append(interpolate.Names(l.URL), interpolate.Names(l.Title)...) {
		if !strings.HasPrefix(name, "__") && !from.hasVariable(name) {
			return fmt.Sprintf("%s: %s has no variable %s", l.Title, from.UID, name)
		}
	}
	_, err := url.Parse(path)
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestLinks(t *testing.T) {
	all := All()
	for _, d := range all {
		for _, p := range d.Panels {
			for _, l := range linksOf(p) {
				assert.Empty(t, deadLink(all, d, l), "%s, %s", d.Title, p.Title)
			}
		}
		for _, l := range d.Links {
			assert.Equal(t, []string{tag}, l.Tags)
			assert.True(t, l.IncludeVars && l.KeepTime)
		}
		assert.Contains(t, d.Tags, tag)
	}
}

// TestThreeClicks follows the links from "the site is slow" to one trace.
func TestThreeClicks(t *testing.T) {
	at := map[string]*Dashboard{}
	for _, d := range All() {
		at[d.UID] = d
	}
	for _, step := range [][2]string{{uidWhere, uidService}, {uidService, uidWorkers}, {uidService, uidRequest}, {uidWorkers, uidRequest}} {
		assert.True(t, slices.ContainsFunc(at[step[0]].Panels, func(p *Panel) bool {
			return slices.ContainsFunc(linksOf(p), func(l Link) bool { return strings.HasPrefix(l.URL, "/d/"+step[1]+"?") })
		}), "%s does not lead to %s", step[0], step[1])
	}
}

func TestDeadLinksAreFound(t *testing.T) {
	all := All()
	for url, want := range map[string]string{
		"/d/gone?" + keepTime:                                    "x: there is no dashboard at /d/gone",
		"/d/" + uidWhere + "?var-host=a":                         "x: the time range is not kept",
		"/d/" + uidAgent + "?" + keepTime + "&var-trace=1":       "x: lapwing-agent has no variable trace",
		"/d/" + uidWhere + "?" + keepTime + "&var-host=${trace}": "x: lapwing-where has no variable trace",
	} {
		assert.Equal(t, want, deadLink(all, all[0], Link{Title: "x", URL: url}))
	}
}

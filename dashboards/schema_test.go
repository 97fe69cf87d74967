package dashboards

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// compiled returns Grafana's schema, see schema/dashboard.ts.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile("schema/grafana.schema.json")
	require.NoError(t, err)
	return s
}

func TestFilesAreGenerated(t *testing.T) {
	files, err := filepath.Glob("grafana/*.json")
	require.NoError(t, err)
	assert.Len(t, files, len(All()))
	for _, d := range All() {
		want, err := d.JSON()
		require.NoError(t, err)
		got, err := os.ReadFile("grafana/" + d.UID + ".json")
		require.NoError(t, err)
		assert.True(t, bytes.Equal(want, got), "%s.json is not what the code gives: run make dashboards", d.UID)
	}
}

func TestGrafanaSchema(t *testing.T) {
	s := compiled(t)
	for _, d := range All() {
		raw, err := os.ReadFile("grafana/" + d.UID + ".json")
		require.NoError(t, err)
		err = validate(t, s, raw)
		assert.True(t, err == nil, "%s: %.2000s", d.UID, err) // NoError would list all variants of a panel
	}
}

func validate(t *testing.T, s *jsonschema.Schema, raw []byte) error {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	return s.Validate(parsed)
}

// TestSchemaRefuses checks that the schema covers the parts that matter.
func TestSchemaRefuses(t *testing.T) {
	s := compiled(t)
	for name, spoil := range map[string]func(d *Dashboard){
		"a panel of no known type":   func(d *Dashboard) { d.Panels[0].Type = "graph3d" },
		"an option of another panel": func(d *Dashboard) { d.Panels[0].Options["rowHeight"] = 1 },
		"an option out of the range": func(d *Dashboard) { d.Panels[0].Options["colorMode"] = "loud" },
		"a lacking option":           func(d *Dashboard) { delete(d.Panels[0].Options, "reduceOptions") },
		"an unknown style":           func(d *Dashboard) { d.Panels[5].FieldConfig.Defaults.Custom["drawStyle"] = "dots" },
		"an unknown query format":    func(d *Dashboard) { d.Panels[0].Targets[0].Format = "csv" },
		"an unknown variable type":   func(d *Dashboard) { d.Templating.List[0].Type = "guess" },
	} {
		d := whereTheTimeGoes()
		raw, err := d.JSON()
		require.NoError(t, err)
		require.NoError(t, validate(t, s, raw))
		spoil(d)
		raw, err = d.JSON()
		require.NoError(t, err)
		assert.Error(t, validate(t, s, raw), name)
	}
}

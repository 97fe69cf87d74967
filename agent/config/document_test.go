package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the generated part of docs/configuration.md anew")

func TestExampleIsTheDefaults(t *testing.T) {
	cfg, err := load(t, Example())
	require.NoError(t, err)
	// An empty group in the file turns a missing map into an empty one.
	require.Empty(t, cfg.Export.OTLP.Headers)
	cfg.Export.OTLP.Headers = nil
	want := Default()
	for _, list := range []*[]uint16{&cfg.Probes.Ports, &cfg.Filter.Ports} {
		require.Empty(t, *list)
		*list = nil
	}
	cfg.Filter.PIDs, cfg.Filter.Exes, cfg.Filter.Services = nil, nil, nil
	cfg.Services, cfg.Routes, cfg.Export.OTLP.Sampling.Services = nil, nil, nil
	require.Equal(t, want, cfg)
}

// TestCommentedExampleLoads removes the comment marks from the examples of list
// entries, as users will do.
func TestCommentedExampleLoads(t *testing.T) {
	var lines []string
	for line := range strings.SplitSeq(Example(), "\n") {
		for _, mark := range []string{"# - ", "#   "} {
			indent, rest, ok := strings.Cut(line, mark)
			if ok && strings.TrimSpace(indent) == "" {
				line = indent + "  " + mark[2:] + rest
			}
		}
		if (strings.HasSuffix(line, "services: []") && !strings.Contains(line, "shop*")) || line == "routes: []" {
			line = strings.TrimSuffix(line, " []")
		}
		lines = append(lines, line)
	}
	cfg, err := load(t, strings.Join(lines, "\n"))
	require.NoError(t, err)
	require.Len(t, cfg.Services, 1)
	require.Equal(t, `-m shop\.web`, cfg.Services[0].Cmdline)
	require.Len(t, cfg.Routes, 1)
	require.Len(t, cfg.Export.OTLP.Sampling.Services, 1)
}

func TestEveryKeyIsDescribed(t *testing.T) {
	used := map[string]bool{}
	root.walk(func(s *schema) {
		used[s.Path] = true
		if s.name != "" {
			require.NotEmpty(t, s.Doc, "key %s has no doc", s.Path)
			require.True(t, strings.HasSuffix(s.Doc, "."), "doc of %s is not a sentence", s.Path)
		}
	})
	for path := range notes {
		require.True(t, used[path], "note for %s, which is no key", path)
	}
	require.Greater(t, len(Keys()), 30)
}

func TestEveryExampleIsValid(t *testing.T) {
	for _, k := range Keys() {
		if k.Example == "" || strings.Contains(k.Path, "[]") {
			continue
		}
		t.Run(k.Path, func(t *testing.T) {
			var value any
			require.NoError(t, yaml.Unmarshal([]byte(k.Example), &value))
			parts := strings.Split(k.Path, ".")
			for i := len(parts) - 1; i >= 0; i-- {
				value = map[string]any{parts[i]: value}
			}
			text, err := yaml.Marshal(value)
			require.NoError(t, err)
			c := checker{where: map[string]string{}}
			var document yaml.Node
			require.NoError(t, yaml.Unmarshal(text, &document))
			c.value(document.Content[0], root, "")
			require.Empty(t, c.problems)
		})
	}
}

// TestReferenceIsCurrent compares the tables in docs/configuration.md with the
// structures. `go test ./agent/config -update` writes them.
func TestReferenceIsCurrent(t *testing.T) {
	const begin, end = "<!-- keys: made by go test ./agent/config -update -->\n", "<!-- end of keys -->\n"
	file := filepath.Join("..", "..", "docs", "configuration.md")
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(raw), begin)
	require.True(t, ok, "the mark of the generated part is missing")
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok, "the end of the generated part is missing")
	want := before + begin + "\n" + Reference() + "\n" + end + after
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(raw), "run go test ./agent/config -update")
}

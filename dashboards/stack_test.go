package dashboards

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// stackFiles returns the contents of the stack's files, by path.
func stackFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir("stack", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		files[path] = string(raw)
		return err
	}))
	return files
}

// endpoint matches a host and a port, and the keys whose value is only a host.
var endpoint = regexp.MustCompile(`(?:[\w.\[\]-]+:\d{4,5}\b)|(?:(?:_address|HTTP_ADDR|bind_addr): *\S+)`)

func TestStackIsOnLoopback(t *testing.T) {
	found := 0
	for path, text := range stackFiles(t) {
		var any map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(text), &any), path)
		if strings.HasSuffix(path, "rules_test.yaml") {
			continue
		}
		for _, e := range endpoint.FindAllString(text, -1) {
			found++
			assert.Contains(t, e, "127.0.0.1", path)
		}
	}
	assert.Greater(t, found, 12)
}

// TestStackFitsTogether checks that what one part of the stack refers to exists
// in another.
func TestStackFitsTogether(t *testing.T) {
	files := stackFiles(t)
	for _, pair := range [][3]string{
		{"127.0.0.1:9464", "stack/lapwing.yaml", "stack/prometheus/prometheus.yaml"},
		{"127.0.0.1:4317", "stack/lapwing.yaml", "stack/collector/collector.yaml"},
		{"127.0.0.1:14317", "stack/collector/collector.yaml", "stack/tempo/tempo.yaml"},
		{"127.0.0.1:14317", "stack/collector/collector.yaml", "stack/jaeger/jaeger.yaml"},
		{"127.0.0.1:16686", "stack/jaeger/jaeger.yaml", "stack/grafana/provisioning/datasources/lapwing.yaml"},
		{"  tempo:\n", "stack/compose.yaml", "stack/compose.jaeger.yaml"},
		{"127.0.0.1:9090", "stack/compose.yaml", "stack/grafana/provisioning/datasources/lapwing.yaml"},
		{"/etc/lapwing/dashboards", "stack/compose.yaml", "stack/grafana/provisioning/dashboards/lapwing.yaml"},
		{"rules.yaml", "stack/prometheus/prometheus.yaml", "stack/prometheus/rules_test.yaml"},
		{cpuProfile, "stack/grafana/provisioning/datasources/lapwing.yaml", "grafana/lapwing-service.json"},
	} {
		for _, path := range pair[1:] {
			text, ok := files[path]
			if !ok {
				raw, err := os.ReadFile(path)
				require.NoError(t, err)
				text = string(raw)
			}
			assert.Contains(t, text, pair[0], path)
		}
	}
	for _, source := range []string{"prometheus", "tempo", "jaeger", "grafana-pyroscope-datasource"} {
		assert.Contains(t, files["stack/grafana/provisioning/datasources/lapwing.yaml"], "type: "+source+"\n")
	}
	for path, text := range files {
		for _, image := range regexp.MustCompile(`image: (\S+)`).FindAllStringSubmatch(text, -1) {
			assert.Regexp(t, `:v?\d+\.\d+\.\d+$`, image[1], "%s: images are pinned", path)
		}
	}
}

// TestDataSourcesKnowEachOther checks that the links between data sources lead
// to existing ones.
func TestDataSourcesKnowEachOther(t *testing.T) {
	text := stackFiles(t)["stack/grafana/provisioning/datasources/lapwing.yaml"]
	linked := regexp.MustCompile(`datasourceUid: ([\w-]+)`).FindAllStringSubmatch(text, -1)
	assert.Len(t, linked, 6)
	for _, link := range linked {
		assert.Contains(t, text, "    uid: "+link[1]+"\n")
	}
}

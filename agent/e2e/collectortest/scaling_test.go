package collectortest_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"lapwing/agent/e2e/collectortest"
	"lapwing/agent/e2e/harness"
	"lapwing/collectors/request"
	"lapwing/exporters/otlp"
)

const root = "../../.."

// environment holds the variables of the delivered configurations.
var environment = []string{"LISTEN=127.0.0.1", "TEMPO=127.0.0.1:4317", "METRICS=http://127.0.0.1:9090/api/v1/otlp", "GATEWAY=gateway.example"}

// write writes a changed configuration to a file.
func write(t *testing.T, config []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "collector.yaml")
	require.NoError(t, os.WriteFile(file, config, 0o600))
	return file
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(raw)
}

// TestDeliveredConfigurations checks them with the real Collector. The module
// of the loadbalancing exporter is not available here. It is replaced by the
// exporter that it creates per gateway, with the same settings.
func TestDeliveredConfigurations(t *testing.T) {
	assert.NoError(t, collectortest.Validate(t, filepath.Join(root, "dashboards/stack/collector/collector.yaml"), environment...))
	assert.NoError(t, collectortest.Validate(t, filepath.Join(root, "packaging/collector/gateway.yaml"), environment...))
	var config map[string]map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "packaging/collector/agent.yaml")), &config))
	balanced := config["exporters"]["loadbalancing"].(map[string]any)
	assert.Equal(t, "traceID", balanced["routing_key"])
	member := balanced["protocol"].(map[string]any)["otlp"].(map[string]any)
	member["endpoint"] = "gateway.example:4317"
	delete(config["exporters"], "loadbalancing")
	config["exporters"]["otlp_grpc"] = member
	config["service"]["pipelines"].(map[string]any)["traces"].(map[string]any)["exporters"] = []string{"otlp_grpc"}
	raw, err := yaml.Marshal(config)
	require.NoError(t, err)
	assert.NoError(t, collectortest.Validate(t, write(t, raw), environment...))

	wrong := strings.Replace(read(t, "packaging/collector/gateway.yaml"), "decision_wait", "decision_delay", 1)
	assert.Error(t, collectortest.Validate(t, write(t, []byte(wrong)), environment...), "a key that does not exist")
}

// TestGatewaySamples sends traces of an agent through the gateway. All that
// failed and all slow ones arrive, and a part of the others.
func TestGatewaySamples(t *testing.T) {
	store := collectortest.Start(t)
	address := harness.FreeAddress(t)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	config := strings.NewReplacer(":4317", ":"+port, "decision_wait: 10s", "decision_wait: 1s").Replace(read(t, "packaging/collector/gateway.yaml"))
	gateway := collectortest.StartFile(t, write(t, []byte(config)), address,
		"LISTEN=127.0.0.1", "TEMPO="+strings.TrimPrefix(store.GRPC, "http://"))

	c := otlp.DefaultConfig()
	c.Endpoint, c.Protocol = gateway.GRPC, otlp.ProtocolGRPC
	e, err := otlp.New(c, request.NewClock(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	const each = 100
	for range each {
		failed, slow, ordinary := finished("failed"), finished("slow"), finished("ordinary")
		failed.Status, failed.Error = 500, "500"
		slow.WriteLast += request.Stamp(time.Second)
		trace(e, failed, slow, ordinary)
	}
	require.NoError(t, e.Shutdown(context.Background()))

	count := func() map[string]int {
		n := map[string]int{}
		for _, s := range store.WaitSpans(t, 1) {
			if s.ParentSpanID == "" {
				n[s.Resource["service.name"].(string)]++
			}
		}
		return n
	}
	harness.Eventually(t, 20*time.Second, "the traces that are kept", func() bool { n := count(); return n["failed"] == each && n["slow"] == each })
	n := count()
	assert.Equal(t, each, n["failed"])
	assert.Equal(t, each, n["slow"])
	assert.Positive(t, n["ordinary"], "a tenth of the others")
	assert.Less(t, n["ordinary"], each/2, "a tenth of the others")
	assert.Empty(t, gateway.Complaints())
}

package hostile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// receiver checks the uploads that it gets.
type receiver struct {
	mu       sync.Mutex
	largest  int
	services map[string]bool // services in traces
}

func (r *receiver) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.largest = max(r.largest, len(body))
	var m coltracepb.ExportTraceServiceRequest
	if req.URL.Path != "/v1/traces" || proto.Unmarshal(body, &m) != nil {
		return
	}
	for _, rs := range m.ResourceSpans {
		for _, kv := range rs.Resource.Attributes {
			if kv.Key == "service.name" {
				r.services[kv.Value.GetStringValue()] = true
			}
		}
	}
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.services)
}

const programs = 40

// page has programs with those names serve one request each, and returns a
// scrape that includes all of them.
func page(t *testing.T, name func(i int) string) (text string, r *receiver) {
	t.Helper()
	r = &receiver{services: map[string]bool{}}
	server := httptest.NewServer(r)
	defer server.Close()
	names, ports := make([]string, programs), make([]string, programs)
	for i := range names {
		names[i] = name(i)
	}
	addresses := startServers(t, names...)
	for i, address := range addresses {
		ports[i] = harness.Port(t, address)
	}
	config, metrics := filepath.Join(t.TempDir(), "lapwing.yaml"), harness.FreeAddress(t)
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil,
		"filter: {ports: [%s]}\nexport: {otlp: {endpoint: '%s', batch_delay: 50ms, metrics: {interval: 200ms}}, prometheus: {listen: '%s'}}\n",
		strings.Join(ports, ", "), server.URL, metrics), 0o600))
	agent := harness.StartDaemon(t, "--config", config)
	for _, address := range addresses {
		ask(t, "http://"+address+"/")
	}
	harness.Eventually(t, harness.Slow(15*time.Second), "all programs to be counted and traced", func() bool {
		text, _, _ = harness.Scrape(metrics)
		return len(counts.FindAllString(text, -1)) == programs && r.count() == programs
	})
	require.NoError(t, agent.Stop())
	return text, r
}

var (
	counts = regexp.MustCompile(`(?m)^http_server_request_duration_seconds_count\{.*\} 1$`)
	label  = regexp.MustCompile(`service_name="([^"]*)"`)
)

// TestLongNames has 40 programs with an argv[0] of 120 KB that serve one
// request each: 1.1 GB per scrape when names had no limit.
func TestLongNames(t *testing.T) {
	fillings := []string{strings.Repeat("A", 120<<10), strings.Repeat("\xff\x80\xe2", 40<<10), strings.Repeat("\x1b[2J\u202e\u009b", 13<<10)}
	plain, _ := page(t, func(i int) string { return fmt.Sprintf("plain%02d", i) })
	text, r := page(t, func(i int) string { return fmt.Sprintf("%02d", i) + fillings[i%len(fillings)] })
	t.Logf("scrape: %d bytes, with plain names %d; largest upload %d", len(text), len(plain), r.largest)
	assert.Less(t, len(text), len(plain)+1_000_000)
	assert.LessOrEqual(t, r.largest, 1<<20)
	shown := map[string]bool{}
	for _, m := range label.FindAllStringSubmatch(text, -1) {
		shown[m[1]] = true
	}
	for service := range r.services {
		assert.LessOrEqual(t, len(service), 64)
		harmless(t, service)
		assert.True(t, shown[strings.ReplaceAll(service, `\`, `\\`)], service)
	}
	harmless(t, strings.ReplaceAll(text, "\n", ""))
}

// harmless fails if a terminal would interpret a part of the text, or not show
// it.
func harmless(t *testing.T, s string) {
	t.Helper()
	require.True(t, utf8.ValidString(s))
	for _, c := range s {
		require.True(t, unicode.IsPrint(c), "%U", c)
	}
}

// TestStringsInRecords checks what the command for records prints about such a
// program, and about paths with parameters and control characters.
func TestStringsInRecords(t *testing.T) {
	address := startServers(t, "\x1b]0;owned\x07"+strings.Repeat("\u202eA", 20<<10))[0]
	for _, tt := range []struct {
		plan   survey.Plan
		format string
	}{{survey.PlanSocket, "json"}, {survey.PlanSyscall, "json"}, {survey.PlanSocket, "text"}} {
		t.Run(string(tt.plan)+" "+tt.format, func(t *testing.T) {
			var out bytes.Buffer
			cmd := exec.Command(harness.Lapwing(t), "trace", "--count", "2", "--for", "20s", "--format", tt.format,
				"--probe-plan", string(tt.plan), "--port", harness.Port(t, address))
			cmd.Stdout = &out
			agent := harness.Start(t, cmd)
			harness.Eventually(t, harness.Slow(20*time.Second), "the probes to be attached", func() bool {
				return strings.Contains(agent.Stderr(), "attached (plan")
			})
			send(t, address, "/shop;jsessionid=SECRET/%41;a=1/x;b?q=1")
			send(t, address, "/\u202e\u2066\x1b[2J\x80/é")
			require.NoError(t, agent.AwaitExit(30*time.Second), agent.Stderr())
			harmless(t, strings.ReplaceAll(out.String(), "\n", ""))
			assert.Contains(t, out.String(), "/shop/%41/x")
			assert.NotContains(t, out.String(), "SECRET")
			if tt.format == "json" {
				checkRecords(t, out.String())
			}
		})
	}
}

func checkRecords(t *testing.T, lines string) {
	var paths []string
	for line := range strings.Lines(lines) {
		var r struct{ Service, Path string }
		require.NoError(t, json.Unmarshal([]byte(line), &r))
		assert.LessOrEqual(t, len(r.Service), 64)
		harmless(t, r.Service)
		assert.True(t, strings.HasSuffix(r.Service, "…"), r.Service)
		paths = append(paths, r.Path)
	}
	assert.ElementsMatch(t, []string{"/shop/%41/x", "/\u202e\u2066\x1b[2J\uFFFD/é"}, paths, "a reader of JSON gets what was sent")
}

// send sends a request with a target that no client library would send, and
// waits for the end of the response.
func send(t *testing.T, address, target string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", target)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, conn)
	require.NoError(t, err)
}

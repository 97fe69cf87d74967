package jaegertest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/collectortest"
	"lapwing/agent/e2e/harness"
)

// binary builds Jaeger once per process and returns its path.
var binary = sync.OnceValues(func() (string, error) {
	return harness.BuildModule("jaeger", "github.com/jaegertracing/jaeger/cmd/jaeger", "-ldflags=-s -w")
})

// Jaeger is a running Jaeger.
type Jaeger struct {
	*harness.Process
	URL  string // of its API
	OTLP string // endpoint for OTLP over HTTP
}

// ports are the ports of the delivered configuration. The API's is the first,
// that of OTLP over HTTP the second.
var ports = []string{"16686", "14318", "14317", "16685"}

// startTimeout is generous: a start takes about a second.
const startTimeout = 30 * time.Second

// Start runs a Jaeger until the test ends.
func Start(t testing.TB) *Jaeger {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	config, addresses := configure(t)
	j := &Jaeger{
		Process: harness.Start(t, exec.Command(path, "--config="+config)),
		URL:     "http://" + addresses[0], OTLP: "http://" + addresses[1],
	}
	harness.Eventually(t, startTimeout, "Jaeger to be ready", func() bool {
		require.False(t, j.Exited(), "Jaeger ended at its start: %.2000s", j.Stderr())
		return listens(addresses[0]) && listens(addresses[1])
	})
	return j
}

func listens(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// configure writes the delivered configuration with other ports.
func configure(t testing.TB) (file string, addresses []string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(harness.ModuleRoot(t), "dashboards", "stack", "jaeger", "jaeger.yaml"))
	require.NoError(t, err)
	config := string(raw)
	for _, port := range ports {
		address := harness.FreeAddress(t)
		require.Equal(t, 1, strings.Count(config, "127.0.0.1:"+port), "jaeger.yaml must have 127.0.0.1:%s once", port)
		config = strings.Replace(config, "127.0.0.1:"+port, address, 1)
		addresses = append(addresses, address)
	}
	file = filepath.Join(t.TempDir(), "jaeger.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	return file, addresses
}

// Search holds the conditions of a search. The service is required.
type Search struct {
	Service, Operation string
	Longer             time.Duration
	Tags               map[string]string // of one span
	From, To           time.Time
}

// limit is higher than the number of traces of any test.
const limit = 20000

// Find returns the spans of all traces with a span that matches the search. It
// uses the API of the user interface and of Grafana's data source.
func (j *Jaeger) Find(t testing.TB, s Search) []collectortest.Span {
	t.Helper()
	values := url.Values{
		"query.service_name": {s.Service}, "query.operation_name": {s.Operation}, "query.num_traces": {strconv.Itoa(limit)},
		"query.start_time_min": {s.From.UTC().Format(time.RFC3339Nano)}, "query.start_time_max": {s.To.UTC().Format(time.RFC3339Nano)},
	}
	if s.Longer > 0 {
		values.Set("query.duration_min", s.Longer.String())
	}
	return j.spans(t, "/api/v3/traces?"+values.Encode())
}

// IDs returns the identifiers of the traces that match a search with conditions
// on tags. Only the API of Jaeger's own user interface supports these.
func (j *Jaeger) IDs(t testing.TB, s Search) (ids []string) {
	t.Helper()
	tags, err := json.Marshal(s.Tags)
	require.NoError(t, err)
	values := url.Values{
		"service": {s.Service}, "operation": {s.Operation}, "tags": {string(tags)}, "limit": {strconv.Itoa(limit)},
		"start": {strconv.FormatInt(s.From.UnixMicro(), 10)}, "end": {strconv.FormatInt(s.To.UnixMicro(), 10)},
	}
	if s.Longer > 0 {
		values.Set("minDuration", s.Longer.String())
	}
	var found struct {
		Data []struct {
			TraceID string `json:"traceID"`
		} `json:"data"`
	}
	j.get(t, "/api/traces?"+values.Encode(), &found)
	for _, trace := range found.Data {
		ids = append(ids, trace.TraceID)
	}
	return ids
}

// Trace returns the spans of one trace.
func (j *Jaeger) Trace(t testing.TB, id string) []collectortest.Span {
	t.Helper()
	return j.spans(t, "/api/v3/traces/"+id)
}

// Services returns the names of the services in Jaeger.
func (j *Jaeger) Services(t testing.TB) []string {
	t.Helper()
	var found struct {
		Services []string `json:"services"`
	}
	j.get(t, "/api/v3/services", &found)
	return found.Services
}

// spans decodes a response in OTLP, which may be empty.
func (j *Jaeger) spans(t testing.TB, path string) []collectortest.Span {
	t.Helper()
	var found struct {
		Result json.RawMessage `json:"result"`
	}
	j.get(t, path, &found)
	if found.Result == nil {
		return nil
	}
	spans, err := collectortest.DecodeSpans(found.Result)
	require.NoError(t, err, "Jaeger's answer to %s", path)
	return spans
}

func (j *Jaeger) get(t testing.TB, path string, into any) {
	t.Helper()
	status, body, err := fetch(j.URL + path)
	require.NoError(t, err)
	if status == http.StatusNotFound { // the response if nothing was found
		return
	}
	require.Equal(t, http.StatusOK, status, "Jaeger's answer to %s: %.500s", path, body)
	require.NoError(t, json.Unmarshal(body, into), "Jaeger's answer to %s", path)
}

func fetch(url string) (status int, body []byte, err error) {
	res, err := http.Get(url)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(res.Body); err != nil {
		return 0, nil, fmt.Errorf("reading %s: %w", url, err)
	}
	return res.StatusCode, body, nil
}

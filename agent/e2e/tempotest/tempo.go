package tempotest

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

	"lapwing/agent/e2e/harness"
)

// binary builds Tempo, once per process, and returns its path.
var binary = sync.OnceValues(func() (string, error) {
	root, err := harness.FindModuleRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "build", "tempo")
	cmd := exec.Command("go", "build", "-C", filepath.Join(root, "agent", "e2e", "tempo"),
		"-ldflags=-s -w", "-o", path, "github.com/grafana/tempo/cmd/tempo")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building Tempo: %w\n%.4000s", err, out)
	}
	return path, nil
})

// Tempo is a running Tempo.
type Tempo struct {
	*harness.Process
	URL  string // of its API
	OTLP string // endpoint for OTLP over HTTP
}

// ports are those of the delivered configuration, the API's first and the one
// for OTLP over HTTP second.
var ports = []string{"3200", "14318", "14317", "9095", "7946"}

// startTimeout is ample: a start takes some 15 s.
const startTimeout = 90 * time.Second

// Build builds Tempo, so that a test can do that before it measures anything.
func Build(t testing.TB) {
	t.Helper()
	if _, err := binary(); err != nil {
		t.Fatal(err)
	}
}

// Start runs a Tempo until the test ends.
func Start(t testing.TB) *Tempo {
	t.Helper()
	Build(t)
	path, _ := binary()
	config, addresses := configure(t)
	tempo := &Tempo{
		Process: harness.Start(t, exec.Command(path, "-config.file="+config)),
		URL:     "http://" + addresses[0], OTLP: "http://" + addresses[1],
	}
	harness.Eventually(t, startTimeout, "Tempo to be ready", func() bool {
		if tempo.Exited() {
			t.Fatalf("Tempo ended at its start: %.2000s", tempo.Stderr())
		}
		res, err := http.Get(tempo.URL + "/ready")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return tempo
}

// configure writes the delivered configuration with other ports and folders.
func configure(t testing.TB) (file string, addresses []string) {
	t.Helper()
	root, err := harness.FindModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(root, "dashboards", "stack", "tempo", "tempo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir, config := t.TempDir(), string(raw)
	for _, port := range ports {
		address := harness.FreeAddress(t)
		_, free, _ := net.SplitHostPort(address)
		if strings.Count(config, port) != 1 {
			t.Fatalf("tempo.yaml does not have the port %s once", port)
		}
		config = strings.Replace(config, port, free, 1)
		addresses = append(addresses, address)
	}
	file = filepath.Join(dir, "tempo.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(config, "/var/tempo", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, addresses
}

// Trace is a trace that a search found, with the spans that matched.
type Trace struct {
	ID       string    `json:"traceID"`
	SpanSets []SpanSet `json:"spanSets"`
}

// SpanSet is spans of a trace that matched together.
type SpanSet struct {
	Spans []Span `json:"spans"`
}

// Span is one of them, with the attributes that were selected.
type Span struct {
	ID         string      `json:"spanID"`
	Name       string      `json:"name"`
	Nanos      string      `json:"durationNanos"`
	Attributes []Attribute `json:"attributes"`
}

// Duration of the span.
func (s Span) Duration() time.Duration {
	n, _ := strconv.ParseInt(s.Nanos, 10, 64)
	return time.Duration(n)
}

// Attribute is a name and a value of any type.
type Attribute struct {
	Key   string         `json:"key"`
	Value map[string]any `json:"value"`
}

// Search runs a TraceQL query over a time range, as Grafana does.
func (tempo *Tempo) Search(t testing.TB, query string, from, to time.Time) []Trace {
	t.Helper()
	values := url.Values{"q": {query}, "limit": {"20"}, "spss": {"20"},
		"start": {strconv.FormatInt(from.Unix(), 10)}, "end": {strconv.FormatInt(to.Unix()+1, 10)}}
	var found struct {
		Traces []Trace `json:"traces"`
	}
	tempo.get(t, "/api/search?"+values.Encode(), &found)
	return found.Traces
}

// Spans is how many spans a trace has.
func (tempo *Tempo) Spans(t testing.TB, id string) (n int) {
	t.Helper()
	var found struct {
		Batches []struct {
			ScopeSpans []struct {
				Spans []json.RawMessage `json:"spans"`
			} `json:"scopeSpans"`
		} `json:"batches"`
	}
	tempo.get(t, "/api/traces/"+id, &found)
	for _, b := range found.Batches {
		for _, s := range b.ScopeSpans {
			n += len(s.Spans)
		}
	}
	return n
}

func (tempo *Tempo) get(t testing.TB, path string, into any) {
	t.Helper()
	res, err := http.Get(tempo.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("Tempo answers %s to %s: %.500s", res.Status, path, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("Tempo's answer to %s: %v", path, err)
	}
}

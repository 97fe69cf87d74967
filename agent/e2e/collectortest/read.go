package collectortest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Span is one span as the Collector received it, with its resource. Values of
// attributes are string, int64, float64, bool or []any.
type Span struct {
	Resource     map[string]any
	Scope        string
	TraceID      string // hex
	SpanID       string // hex
	ParentSpanID string // hex, empty for a root
	TraceState   string
	Flags        uint32
	Name         string
	Kind         int    // as in OTLP: 1 INTERNAL, 2 SERVER
	Start        uint64 // nanoseconds since 1970
	End          uint64
	Attributes   map[string]any
	Status       int // as in OTLP: 0 unset, 2 error
}

// Point is one data point.
type Point struct {
	Resource   map[string]any
	Metric     string
	Unit       string
	Attributes map[string]any
	Value      float64  // for a histogram, the sum
	Count      uint64   // of a histogram, like the fields below
	Buckets    int      // their number
	TraceIDs   []string // of the exemplars
}

// Spans returns all spans received so far.
func (c *Collector) Spans() ([]Span, error) {
	var spans []Span
	err := eachLine(c.traces, func(line []byte) error {
		more, err := DecodeSpans(line)
		spans = append(spans, more...)
		return err
	})
	return spans, err
}

// DecodeSpans reads spans in the OTLP/JSON encoding.
func DecodeSpans(traces []byte) ([]Span, error) {
	var data tracesData
	if err := json.Unmarshal(traces, &data); err != nil {
		return nil, err
	}
	return data.spans(), nil
}

// Points returns all data points received so far.
func (c *Collector) Points() ([]Point, error) {
	var points []Point
	err := eachLine(c.metrics, func(line []byte) error {
		var data metricsData
		if err := json.Unmarshal(line, &data); err != nil {
			return err
		}
		points = data.appendTo(points)
		return nil
	})
	return points, err
}

// WaitSpans returns all spans as soon as there are at least n. If they do not
// arrive, it fails the test.
func (c *Collector) WaitSpans(t testing.TB, n int) []Span {
	t.Helper()
	return wait(t, n, c.Spans)
}

// WaitPoints returns all data points as soon as there are at least n. If they
// do not arrive, it fails the test.
func (c *Collector) WaitPoints(t testing.TB, n int) []Point {
	t.Helper()
	return wait(t, n, c.Points)
}

const arrivalTimeout = 30 * time.Second

func wait[T any](t testing.TB, n int, read func() ([]T, error)) []T {
	t.Helper()
	for deadline := time.Now().Add(arrivalTimeout); ; time.Sleep(20 * time.Millisecond) {
		got, err := read()
		require.NoError(t, err)
		if len(got) >= n {
			return got
		}
		require.False(t, time.Now().After(deadline), "the Collector has %d of %d after %v", len(got), n, arrivalTimeout)
	}
}

// eachLine calls f for each complete line of the file. A missing file has no
// lines.
func eachLine(path string, f func([]byte) error) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading what the Collector wrote: %w", err)
	}
	for {
		line, rest, complete := bytes.Cut(data, []byte("\n"))
		if !complete {
			return nil
		}
		if err := f(line); err != nil {
			return fmt.Errorf("%s: %w in %s", path, err, line)
		}
		data = rest
	}
}

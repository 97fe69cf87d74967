package console

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
)

// buffer is an output that another goroutine may read.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// gate is an output that accepts nothing until it is opened.
type gate struct {
	buffer
	open    chan struct{}
	waiting chan struct{} // closed by the first write
	once    sync.Once
}

func newGate() *gate { return &gate{open: make(chan struct{}), waiting: make(chan struct{})} }

func (g *gate) Write(p []byte) (int, error) {
	g.once.Do(func() { close(g.waiting) })
	<-g.open
	return g.buffer.Write(p)
}

func shutdown(t *testing.T, tr *Trace) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, tr.Shutdown(ctx))
}

func jsonTrace(w io.Writer) *Trace {
	return NewTrace(w, TraceOptions{Format: FormatJSON, Clock: new(request.Clock)})
}

func dropped(tr *Trace) (n uint64) {
	for _, v := range tr.Dropped() {
		n += v
	}
	return n
}

func TestTraceJSON(t *testing.T) {
	var out buffer
	tr := NewTrace(&out, TraceOptions{
		Format: FormatJSON,
		Clock:  new(request.Clock),
	})
	for _, r := range sampleRequests() {
		r.TraceID[15], r.SpanID[7] = 1, 2
		tr.Trace(r)
	}
	shutdown(t, tr)
	for line := range strings.Lines(out.String()) {
		assert.True(t, json.Valid([]byte(line)), "not JSON: %s", line)
	}
	golden(t, "trace.json", []byte(out.String()))
}

func TestTraceText(t *testing.T) {
	var out buffer
	tr := NewTrace(&out, TraceOptions{Format: FormatText, Width: 120, Clock: new(request.Clock)})
	for _, r := range sampleRequests() {
		tr.Trace(r)
	}
	shutdown(t, tr)
	golden(t, "trace_120.txt", []byte(out.String()))
	assert.Equal(t, uint64(len(sampleRequests())), tr.Printed(), "requests printed")
}

// TestTraceShowsLinesSoon waits for a line while the trace stays open.
func TestTraceShowsLinesSoon(t *testing.T) {
	var out buffer
	tr := NewTrace(&out, TraceOptions{Width: 80, Clock: new(request.Clock)})
	defer shutdown(t, tr)
	eventually(t, "the header is there before any request", func() bool {
		return strings.Contains(out.String(), legend)
	})
	for _, path := range []string{"/one", "/two"} {
		tr.Trace(served("x", path, 200, 1, 1, 1, 1))
		eventually(t, path+" is printed", func() bool { return strings.Contains(out.String(), path) })
	}
}

// TestTraceNeverWaits exports more than the queue holds to an output that is
// stuck. Once the output moves again, all lines are either printed or counted.
func TestTraceNeverWaits(t *testing.T) {
	out := newGate()
	tr := jsonTrace(out)
	r := sampleRequests()[0]
	const n = 40_000 // about 12 MB; the queue holds 4
	for range n {
		tr.Trace(r)
	}
	assert.NotZero(t, tr.Dropped()[DropSlowOutput], "nothing counted as dropped although the queue is full")
	close(out.open)
	shutdown(t, tr)
	assert.EqualValues(t, n, tr.Printed()+dropped(tr), "exported, and %d printed + %d dropped", tr.Printed(), dropped(tr))
	assert.EqualValues(t, strings.Count(out.String(), "\n"), tr.Printed())
	for line := range strings.Lines(out.String()) {
		require.True(t, json.Valid([]byte(line)), "torn line: %q", line)
	}
}

func TestTraceGivesUpAtTheDeadline(t *testing.T) {
	out := newGate()
	tr := jsonTrace(out)
	const n = 1000
	for range n {
		tr.Trace(sampleRequests()[0])
	}
	<-out.waiting
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := tr.Shutdown(ctx)
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorContains(t, err, "1000 lines")
	assert.EqualValues(t, n, tr.Dropped()[DropSlowOutput])
	close(out.open)
	<-tr.Done()
	assert.EqualValues(t, n, tr.Printed()+dropped(tr), "exported, and %d printed + %d dropped", tr.Printed(), dropped(tr))
}

// TestTraceReaderLeaves covers `lapwing trace --format json | head -n 3`.
func TestTraceReaderLeaves(t *testing.T) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer write.Close()
	tr := jsonTrace(write)
	r := sampleRequests()[1]
	exported := uint64(3)
	for range exported {
		tr.Trace(r)
	}
	lines := bufio.NewScanner(read)
	for range exported {
		require.True(t, lines.Scan(), "the pipe ended early")
	}
	require.NoError(t, read.Close())
	eventually(t, "the trace notices that its reader left", func() bool {
		select {
		case <-tr.Done():
			return true
		default:
			tr.Trace(r)
			exported++
			return false
		}
	})
	assert.NoError(t, tr.Err())
	tr.Trace(r)
	exported++
	shutdown(t, tr)
	assert.Equal(t, exported, tr.Printed()+tr.Dropped()[DropOutputClosed], "exported, and %d printed + dropped %v", tr.Printed(), tr.Dropped())
}

// halfway is an output that fails in the middle of its second line.
type halfway struct{}

var errDiskFull = errors.New("disk full")

func (halfway) Write(p []byte) (int, error) {
	return bytes.IndexByte(p, '\n') + 5, errDiskFull
}

func TestTraceWriteError(t *testing.T) {
	tr := jsonTrace(halfway{})
	const n = 5
	for range n {
		tr.Trace(sampleRequests()[0])
	}
	<-tr.Done()
	assert.ErrorIs(t, tr.Err(), errDiskFull)
	assert.ErrorIs(t, tr.Shutdown(context.Background()), errDiskFull)
	assert.EqualValues(t, 1, tr.Printed(), "printed")
	assert.EqualValues(t, n-1, tr.Dropped()[DropOutputClosed], "dropped %v", tr.Dropped())
}

// TestTraceCountsAreConsistent reads the counts while they change.
func TestTraceCountsAreConsistent(t *testing.T) {
	var out buffer
	tr := jsonTrace(&out)
	const n = 20_000
	exported := make(chan struct{})
	go func() {
		defer close(exported)
		r := sampleRequests()[0]
		for range n {
			tr.Trace(r)
		}
	}()
	for running := true; running; {
		select {
		case <-exported:
			running = false
		default:
			assert.LessOrEqual(t, tr.Printed()+dropped(tr), uint64(n), "more accounted for than exported")
		}
	}
	shutdown(t, tr)
	assert.EqualValues(t, n, tr.Printed()+dropped(tr), "exported, and %d printed + %d dropped", tr.Printed(), dropped(tr))
}

func BenchmarkTraceJSON(b *testing.B) {
	benchmarkTrace(b, TraceOptions{Format: FormatJSON, Clock: new(request.Clock)})
}

func BenchmarkTraceText(b *testing.B) {
	benchmarkTrace(b, TraceOptions{Width: 120, Clock: new(request.Clock)})
}

func benchmarkTrace(b *testing.B, opts TraceOptions) {
	tr := NewTrace(io.Discard, opts)
	r := sampleRequests()[0]
	b.ReportAllocs()
	for b.Loop() {
		tr.Trace(r)
	}
	require.NoError(b, tr.Shutdown(context.Background()))
	b.ReportMetric(100*float64(tr.Printed())/float64(tr.Printed()+dropped(tr)), "%printed")
}

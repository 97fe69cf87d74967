package app

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/cmd/refserver/board"
)

// memory is a Writer that keeps everything.
type memory struct {
	status int
	length int64
	fields []Field
	body   bytes.Buffer
	err    error
}

func (m *memory) Start(status int, _ string, length int64, extra ...Field) {
	m.status, m.length, m.fields = status, length, extra
}
func (m *memory) Write(p []byte)          { m.body.Write(p) }
func (m *memory) SendFile(_ int, n int64) { m.body.Write(make([]byte, n)) }
func (m *memory) Err() error              { return m.err }

func newApp(t *testing.T) *App {
	t.Helper()
	b, err := board.New(1)
	require.NoError(t, err)
	return New("prefork", b)
}

// get serves a GET request and returns what was written, and the sum of the
// pauses.
func get(t *testing.T, a *App, target string) (*memory, time.Duration) {
	t.Helper()
	path, query, _ := strings.Cut(target, "?")
	m := new(memory)
	var paused time.Duration
	p := Serve(a, m, &Request{Method: "GET", Path: []byte(path), Query: []byte(query)})
	for p.Then != nil {
		paused += p.After
		p = p.Then(m)
	}
	return m, paused
}

func TestPauses(t *testing.T) {
	a := newApp(t)
	for target, want := range map[string]time.Duration{
		"/fast":                    0,
		"/poll?ms=1500":            1500 * time.Millisecond,
		"/stream?chunks=5&ms=1000": 4 * time.Second, // between the chunks
		"/stream?chunks=1&ms=1000": 0,
		"/stream?chunks=0&ms=1000": 0,
	} {
		m, paused := get(t, a, target)
		assert.Equal(t, want, paused, "pauses of %s", target)
		assert.Equal(t, 200, m.status, "status of %s", target)
	}
}

// TestStreamStops checks that nothing is produced after the client is gone.
func TestStreamStops(t *testing.T) {
	m := new(memory)
	p := Serve(newApp(t), m, &Request{Method: "GET", Path: []byte("/stream"), Query: []byte("chunks=1000&ms=0")})
	m.err = bytes.ErrTooLarge
	p = p.Then(m)
	assert.Nil(t, p.Then, "the stream goes on")
	assert.Equal(t, chunkBytes, m.body.Len(), "bytes that were produced")
}

func TestCPUTime(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime()
	m, _ := get(t, newApp(t), "/cpu?ms=5")
	used := threadTime() - before
	require.Equal(t, 200, m.status)
	assert.GreaterOrEqual(t, used, 5*time.Millisecond, "CPU time used")
}

// TestSleepUsesNoCPU checks the difference between /sleep and /cpu.
func TestSleepUsesNoCPU(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cpu, wall := threadTime(), time.Now()
	m, _ := get(t, newApp(t), "/sleep?ms=50")
	used, passed := threadTime()-cpu, time.Since(wall)
	require.Equal(t, 200, m.status)
	assert.GreaterOrEqual(t, passed, 50*time.Millisecond, "time passed; %v of CPU used", used)
	assert.LessOrEqual(t, used, passed/2, "CPU time used; %v passed", passed)
}

func TestLengths(t *testing.T) {
	a := newApp(t)
	for _, target := range []string{"/fast", "/big?kb=0", "/big?kb=7", "/big?kb=3", "/file?kb=9", "/workers", "/nope", "/big?kb=99999999"} {
		m, _ := get(t, a, target)
		assert.Equal(t, m.length, int64(m.body.Len()), "%s: not as many bytes as promised", target)
	}
}

func TestDownstreamErrors(t *testing.T) {
	a := newApp(t)
	for target, status := range map[string]int{
		"/downstream":                          400,
		"/downstream?url=/fast":                400,
		"/downstream?url=http://":              400,
		"/downstream?url=http://127.0.0.1:1/x": 502,
		"/downstream?url=http://a.test/":       502,
	} {
		m, _ := get(t, a, target)
		assert.Equal(t, status, m.status, "%s: %q", target, m.body.String())
		assert.NotZero(t, m.body.Len(), "%s: no body", target)
	}
}

package app

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"

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
		if m, paused := get(t, a, target); paused != want || m.status != 200 {
			t.Errorf("%s paused for %v, want %v", target, paused, want)
		}
	}
}

// TestStreamStops checks that nothing is produced after the client is gone.
func TestStreamStops(t *testing.T) {
	m := new(memory)
	p := Serve(newApp(t), m, &Request{Method: "GET", Path: []byte("/stream"), Query: []byte("chunks=1000&ms=0")})
	m.err = bytes.ErrTooLarge
	if p = p.Then(m); p.Then != nil || m.body.Len() != chunkBytes {
		t.Errorf("%d bytes were produced", m.body.Len())
	}
}

func TestCPUTime(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime()
	if m, _ := get(t, newApp(t), "/cpu?ms=5"); m.status != 200 {
		t.Fatalf("status %d", m.status)
	}
	if used := threadTime() - before; used < 5*time.Millisecond {
		t.Errorf("%v of CPU used, want 5 ms", used)
	}
}

// TestSleepUsesNoCPU checks the difference between /sleep and /cpu.
func TestSleepUsesNoCPU(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cpu, wall := threadTime(), time.Now()
	if m, _ := get(t, newApp(t), "/sleep?ms=50"); m.status != 200 {
		t.Fatalf("status %d", m.status)
	}
	used, passed := threadTime()-cpu, time.Since(wall)
	if passed < 50*time.Millisecond || used > passed/2 {
		t.Errorf("%v passed, %v of CPU used", passed, used)
	}
}

func TestLengths(t *testing.T) {
	a := newApp(t)
	for _, target := range []string{"/fast", "/big?kb=0", "/big?kb=7", "/big?kb=3", "/file?kb=9", "/workers", "/nope", "/big?kb=99999999"} {
		if m, _ := get(t, a, target); m.length != int64(m.body.Len()) {
			t.Errorf("%s: %d bytes, promised %d", target, m.body.Len(), m.length)
		}
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
		if m, _ := get(t, a, target); m.status != status || m.body.Len() == 0 {
			t.Errorf("%s: status %d, want %d; %q", target, m.status, status, m.body.String())
		}
	}
}

package truth

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func open(t *testing.T) (*Writer, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "truth.jsonl")
	require.NoError(t, Create(path))
	w, err := Open(path, "prefork")
	require.NoError(t, err)
	return w, path
}

func read(t *testing.T, path string) []Line {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var lines []Line
	for raw := range bytes.Lines(data) {
		var l Line
		require.NoError(t, json.Unmarshal(raw, &l), "%q", raw)
		lines = append(lines, l)
	}
	return lines
}

func TestRecordToLine(t *testing.T) {
	w, path := open(t)
	r := Record{
		Worker: 2, TID: 3, AcceptorTID: 4, Peer: netip.MustParseAddrPort("[::1]:80"), Seq: 5,
		Method: "GET", Route: "/fast", Status: 200, Error: "client_gone", RequestBytes: 6, ResponseBytes: 7,
		Accept: 8, Handover: 9, ReadFirst: 10, Read: 11, AppEnter: 12, AppLeave: 13, WriteEnter: 14, WriteLeave: 15,
	}
	r.SetID([]byte(strings.Repeat("i", MaxID+1)))
	w.NewLog().Add(&r)
	require.NoError(t, w.Close())
	want := Line{
		ID: strings.Repeat("i", MaxID), Arch: "prefork", Worker: 2, PID: os.Getpid(), TID: 3, AcceptorTID: 4,
		Peer: "[::1]:80", Seq: 5, Method: "GET", Route: "/fast", Status: 200, Error: "client_gone",
		RequestBytes: 6, ResponseBytes: 7, AcceptNS: 8, HandoverNS: 9, ReadFirstNS: 10, ReadNS: 11,
		AppEnterNS: 12, AppLeaveNS: 13, WriteEnterNS: 14, WriteLeaveNS: 15,
	}
	assert.Equal(t, []Line{want}, read(t, path))
}

// TestFlushWithoutClose checks that records reach the file while the server
// runs.
func TestFlushWithoutClose(t *testing.T) {
	w, path := open(t)
	w.NewLog().Add(&Record{Seq: 1})
	for end := time.Now().Add(10 * time.Second); len(read(t, path)) == 0; time.Sleep(time.Millisecond) {
		require.False(t, time.Now().After(end), "the record never reached the file")
	}
	require.NoError(t, w.Close())
	assert.NoError(t, w.Close(), "a second Close")
}

// TestAllThreads adds more records than a ring holds, from several threads,
// while the writer flushes.
func TestAllThreads(t *testing.T) {
	w, path := open(t)
	const threads, each = 4, 2 * capacity
	done := make(chan uint64)
	for range threads {
		l := w.NewLog()
		go func() {
			for i := range each {
				l.Add(&Record{Seq: i + 1})
				for l.written.Load()-l.flushed.Load() == capacity {
					time.Sleep(time.Millisecond) // the test is faster than any server
				}
			}
			done <- l.dropped.Load()
		}()
	}
	for range threads {
		assert.Zero(t, <-done, "records were dropped")
	}
	require.NoError(t, w.Close())
	assert.Len(t, read(t, path), threads*each)
}

func TestDropsAreCounted(t *testing.T) {
	w, path := open(t)
	w.mu.Lock() // prevents a flush meanwhile
	l := &Log{ring: make([]Record, 4)}
	w.logs = append(w.logs, l)
	for i := range 7 {
		l.Add(&Record{Seq: i + 1})
	}
	w.mu.Unlock()
	assert.ErrorContains(t, w.Close(), "3 records were dropped")
	lines := read(t, path)
	if assert.Len(t, lines, 4) {
		assert.Equal(t, 4, lines[3].Seq, "lines are %+v", lines)
	}
}

func TestNoTruth(t *testing.T) {
	require.NoError(t, Create(""))
	w, err := Open("", "prefork")
	require.NoError(t, err)
	require.Nil(t, w)
	w.NewLog().Add(&Record{})
	assert.NoError(t, w.Close())
}

func BenchmarkAdd(b *testing.B) {
	l := &Log{ring: make([]Record, capacity)}
	var r Record
	b.ReportAllocs()
	for b.Loop() {
		l.Add(&r)
		l.flushed.Store(l.written.Load())
	}
}

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTruthFileGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "truth")
	write := func(text string) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		_, err = f.WriteString(text)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	f := newTruthFile(path)
	assert.Error(t, f.update(), "no file")
	write(`{"id":"a","pid":1}` + "\n" + `{"id":"b"`)
	require.NoError(t, f.update())
	assert.Len(t, f.lines, 1, "the second line is not complete")
	write(`,"pid":2}` + "\n")
	require.NoError(t, f.update())
	assert.Equal(t, 2, f.lines["b"].PID)
	write(`{"id":"a"}` + "\n")
	assert.ErrorContains(t, f.update(), "two lines of truth")
}

func TestSightingsComeInPieces(t *testing.T) {
	s := sightings{at: make(map[string][]record)}
	text := `{"trace_id":"a","local":"127.0.0.1:80"}` + "\n" + `{"trace_id":"b","local":"unix:/s"}` + "\n"
	for _, c := range text {
		_, err := s.Write([]byte(string(c)))
		require.NoError(t, err)
	}
	require.NoError(t, s.err)
	assert.Equal(t, "a", s.from("127.0.0.1:80", 0)[0].TraceID)
	assert.Len(t, s.from("unix:/s", 0), 1)
	assert.Empty(t, s.from("unix:/s", 1))
	_, _ = s.Write([]byte("fnord\n"))
	assert.ErrorContains(t, s.err, "fnord")
}

func TestReports(t *testing.T) {
	cells := []cell{exactly(20).judge()}
	cells[0].Load, cells[0].Plan = "4x", "socket"
	var table strings.Builder
	require.NoError(t, writeTable(&table, cells))
	for _, want := range []string{"plan socket, prefork", "20/20", "0/0/0/0", "ok", "Where requests waited"} {
		assert.Contains(t, table.String(), want)
	}
	require.NoError(t, verdict(cells))

	path := filepath.Join(t.TempDir(), "new", "truth.json")
	require.NoError(t, save(path, cells))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var back []map[string]any
	require.NoError(t, json.Unmarshal(b, &back))
	for _, field := range []string{"arch", "scenario", "load", "plan", "sent", "seen", "missing", "doubled", "misattributed", "phases"} {
		assert.Contains(t, back[0], field)
	}
	queue := back[0]["phases"].(map[string]any)["queue"]
	for _, field := range []string{"p50_us", "p99_us", "max_us"} {
		assert.Contains(t, queue, field)
	}
	cells[0].Within = false
	assert.ErrorContains(t, verdict(cells), "1 of 1 cells")
}

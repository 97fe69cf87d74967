package main

import (
	"encoding/json"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/cmd/refserver/board"
)

// workerList is the body of /workers.
type workerList struct {
	Arch    string `json:"arch"`
	Workers []struct {
		board.Worker
		State string `json:"state"`
	} `json:"workers"`
}

func (s *server) workers() workerList {
	s.t.Helper()
	_, body := s.get("/workers")
	var list workerList
	require.NoError(s.t, json.Unmarshal([]byte(body), &list))
	return list
}

// count returns the number of workers in a state.
func (l workerList) count(state string) int {
	n := 0
	for _, w := range l.Workers {
		if w.State == state {
			n++
		}
	}
	return n
}

// TestPreforkWorkers checks who serves: processes, each on its first thread,
// and each with one request at a time.
func TestPreforkWorkers(t *testing.T) {
	s := start(t, "prefork", "--workers", "3")
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { s.get("/sleep?ms=300") })
	}
	eventually(t, "two sleeping workers, one that answers", func() bool { return s.workers().count("busy") == 3 })
	all.Wait()
	for _, l := range s.stop() {
		assert.Equal(t, l.PID, l.TID, "served by %+v", l)
		assert.Equal(t, l.TID, l.AcceptorTID, "served by %+v", l)
		assert.NotEqual(t, s.cmd.Process.Pid, l.PID, "served by %+v", l)
		assert.GreaterOrEqual(t, l.Worker, 1, "served by %+v", l)
		assert.LessOrEqual(t, l.Worker, 3, "served by %+v", l)
	}
}

// TestPreforkBacklog checks where requests wait when all workers are busy:
// before accept.
func TestPreforkBacklog(t *testing.T) {
	s := start(t, "prefork", "--workers", "1")
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { s.get("/sleep?ms=50") })
	}
	all.Wait()
	lines := s.stop()
	for i, l := range lines[1:] {
		assert.GreaterOrEqual(t, l.AcceptNS, lines[i].WriteLeaveNS, "request %d was accepted while request %d was served", i+1, i)
	}
}

func TestPreforkHeldWorker(t *testing.T) {
	s := start(t, "prefork", "--workers", "2")
	c := s.dial()
	_, err := io.WriteString(c, "GET /fast HTTP/1.1\r\nHost: a\r\n\r\n")
	require.NoError(t, err)
	eventually(t, "the kept-alive connection holds its worker", func() bool { return s.workers().count("held") == 1 })
	_ = c.Close()
	eventually(t, "the worker is available again", func() bool { return s.workers().count("available") == 1 })
}

func TestKeepAliveTimeout(t *testing.T) {
	s := start(t, "prefork", "--workers", "1", "--keepalive", "50ms")
	c := s.dial()
	_, err := io.WriteString(c, "GET /fast HTTP/1.1\r\nHost: a\r\n\r\n")
	require.NoError(t, err)
	answer, err := io.ReadAll(c)
	require.NoError(t, err, "answer until the server closed: %q", answer)
	require.NotContains(t, string(answer), "Connection: close", "answer until the server closed")
	require.True(t, strings.HasSuffix(string(answer), "fast\n"), "answer until the server closed: %q", answer)
}

func TestKeepAliveOff(t *testing.T) {
	s := start(t, "prefork", "--workers", "1", "--keepalive", "0")
	resp, _ := s.get("/fast")
	assert.True(t, resp.Close, "the response does not say that the connection closes")
	lines := s.stop()
	if assert.Len(t, lines, 1, "lines of truth") {
		assert.Equal(t, 1, lines[0].Seq, "truth is %+v", lines)
	}
}

func TestPreforkRestart(t *testing.T) {
	s := start(t, "prefork", "--workers", "2")
	victim := s.workers().Workers[0].PID
	require.NoError(t, syscall.Kill(victim, syscall.SIGKILL))
	// Until its last thread has ended, it may accept a connection and take it
	// with it.
	eventually(t, "the master has reaped the worker", func() bool {
		_, err := os.Stat("/proc/" + strconv.Itoa(victim))
		return err != nil
	})
	eventually(t, "the master has replaced the worker", func() bool {
		w := s.workers().Workers[0]
		return w.PID != victim && w.State != "starting"
	})
}

// TestPreforkOrphans kills the master with SIGKILL.
func TestPreforkOrphans(t *testing.T) {
	s := start(t, "prefork", "--workers", "3")
	list := s.workers()
	require.NoError(t, s.cmd.Process.Kill())
	for _, w := range list.Workers {
		eventually(t, "worker "+strconv.Itoa(w.PID)+" is gone", func() bool { return gone(w.PID) })
	}
	assert.Len(t, s.lines(), 1, "lines of truth, want the one request")
}

// gone reports whether a process has ended, even if it has not been reaped yet.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

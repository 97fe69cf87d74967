package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// roleEnv makes the test binary act as one of the two programs.
const roleEnv = "LAPWING_DEMO_ROLE"

const totals = `{"final":true,"services":[{"service":"refserver","requests":36,
"duration":{"p50_ns":150000000,"p99_ns":152000000,"sum_ns":5400000000},"phases":{
"queue":{"p50_ns":100000000,"p99_ns":101000000,"sum_ns":3600000000},
"parse":{"p50_ns":2000,"p99_ns":9000,"sum_ns":72000},
"app":{"p50_ns":50000000,"p99_ns":51000000,"sum_ns":1799856000},
"write_back":{"p50_ns":2000,"p99_ns":9000,"sum_ns":72000}}}]}`

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "refserver":
		playServer()
	case "lapwing":
		playAgent()
	default:
		os.Exit(m.Run())
	}
}

func note() {
	pid := fmt.Sprintf("%d\n", os.Getpid())
	f, err := os.OpenFile(os.Getenv("LAPWING_DEMO_PIDS"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(pid)
	}
	if err != nil {
		panic(err)
	}
}

func terminated() chan os.Signal {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	return term
}

func playServer() {
	term := terminated()
	note()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RequestURI() != route {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte("slept\n"))
	})
	go func() { _ = http.Serve(l, handler) }()
	fmt.Println("listening on", l.Addr())
	<-term
}

func playAgent() {
	term := terminated()
	note()
	if os.Getenv("LAPWING_DEMO_REFUSE") != "" {
		fmt.Fprintln(os.Stderr, "lapwing: CAP_BPF is missing: run as root")
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "lapwing: attached (plan socket)")
	if os.Args[1] == "trace" {
		fmt.Println("GET /sleep 200 qqqqaa")
		return
	}
	<-term
	fmt.Println(strings.ReplaceAll(totals, "\n", ""))
}

// stageFolder returns a folder with the two programs, which are the test
// binary.
func stageFolder(t *testing.T) (bin, pids string) {
	t.Helper()
	bin = t.TempDir()
	pids = filepath.Join(bin, "pids")
	t.Setenv("LAPWING_DEMO_PIDS", pids)
	for _, name := range []string{"refserver", "lapwing"} {
		script := fmt.Sprintf("#!/bin/sh\n%s=%s exec %s \"$@\"\n", roleEnv, name, os.Args[0])
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte(script), 0o700))
	}
	return bin, pids
}

// nothingRuns checks that every started program has ended.
func nothingRuns(t *testing.T, pids string, want int) {
	t.Helper()
	list, err := os.ReadFile(pids)
	require.NoError(t, err)
	fields := strings.Fields(string(list))
	assert.Len(t, fields, want)
	for _, field := range fields {
		var pid int
		_, err = fmt.Sscan(field, &pid)
		require.NoError(t, err)
		assert.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "process %d is still there", pid)
	}
}

func TestDemo(t *testing.T) {
	bin, pids := stageFolder(t)
	var out bytes.Buffer
	err := run(context.Background(), options{bin: bin, workers: 4, clients: 12, length: 100 * time.Millisecond}, &out)
	require.NoError(t, err)
	for _, want := range []string{
		"GET /sleep 200 qqqqaa",
		"lapwing top saw 36 requests",
		"queue        66.7%     100 ms     101 ms  ###########################\n",
		"67 % of the request time is queue, because 12 clients share 4 workers: the median request waits 100 ms before a worker reads it, for 50 ms of work.",
	} {
		assert.Contains(t, out.String(), want)
	}
	nothingRuns(t, pids, 3)
}

func TestDemoWithoutCapability(t *testing.T) {
	bin, pids := stageFolder(t)
	t.Setenv("LAPWING_DEMO_REFUSE", "1")
	err := run(context.Background(), options{bin: bin, workers: 4, clients: 12, length: time.Minute}, new(bytes.Buffer))
	assert.ErrorContains(t, err, "CAP_BPF is missing: run as root")
	nothingRuns(t, pids, 2)
}

func TestDemoInterrupted(t *testing.T) {
	bin, pids := stageFolder(t)
	ctx, cancel := context.WithCancel(context.Background())
	var out notifying
	out.on = cancel
	err := run(ctx, options{bin: bin, workers: 4, clients: 2, length: time.Minute}, &out)
	assert.ErrorIs(t, err, context.Canceled)
	nothingRuns(t, pids, 3)
}

// notifying calls a function at the first line of the trace.
type notifying struct {
	on func()
}

func (n *notifying) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("qqqq")) {
		n.on()
	}
	return len(b), nil
}

func TestDemoWithoutPrograms(t *testing.T) {
	err := run(context.Background(), options{bin: t.TempDir(), workers: 1, clients: 1, length: time.Second}, new(bytes.Buffer))
	assert.ErrorContains(t, err, "make build")
}

func TestSentenceFollowsTheFigures(t *testing.T) {
	r := result{
		Duration: stats{P50: 52 * time.Millisecond, Sum: 100},
		Phases:   map[string]stats{"queue": {Sum: 4}, "app": {P50: 50 * time.Millisecond, Sum: 96}},
	}
	assert.Equal(t, "96 % of the request time is app: at the median, 50 ms of 52 ms.", r.sentence(options{}))
}

func TestParseResultRefuses(t *testing.T) {
	for _, bad := range []string{"", "panic", `{"final":false}`, `{"final":true,"services":[]}`, `{"final":true,"services":[{"requests":1}]}`} {
		_, err := parseResult([]byte(bad))
		assert.Error(t, err, "no error for %q", bad)
	}
}

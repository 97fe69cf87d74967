package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/agent/config"
	"lapwing/collectors/request"
	"lapwing/exporters/health"
	"lapwing/probes/marker"
	"lapwing/probes/socket/survey"
)

// objects parses JSON lines.
func objects(t *testing.T, out string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(out) {
		var o map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &o), line)
		all = append(all, o)
	}
	return all
}

func TestTraceEndsAfterItsCount(t *testing.T) {
	r := call(fakeAgents["endless"], "trace", "--format", "json", "--count", "3")
	require.Zero(t, r.status, r.err)
	require.Len(t, objects(t, r.out), 3)
	require.Regexp(t, `^lapwing: attached \(plan socket\)\nlapwing: \d+ requests, 0 lost\n$`, r.err)
}

func TestTraceEndsAfterItsTime(t *testing.T) {
	r := call(fakeAgents["five"], "trace", "--format", "json", "--for", "50ms")
	require.Zero(t, r.status, r.err)
	require.Len(t, objects(t, r.out), 5, "what was seen is printed")
}

func TestTraceSlow(t *testing.T) {
	r := call(fakeAgents["five"], "trace", "--format", "json", "--slow", "300ms", "--count", "3")
	require.Zero(t, r.status, r.err)
	for i, o := range objects(t, r.out) {
		require.Equal(t, float64(i+3)*1e8, o["duration_ns"])
		require.NotEmpty(t, o["trace_id"])
	}
	require.Contains(t, r.err, "lapwing: 5 requests", "selection does not touch counts")
}

func TestSlowTakesRequestsThatWereNeverAnswered(t *testing.T) {
	r := served("shop", 0)
	r.WriteFirst, r.WriteLast = 0, 0
	r.Closed = r.Arrived + request.Stamp(time.Second)
	require.Equal(t, time.Second, elapsed(r))
	require.Zero(t, elapsed(new(request.Request)))
}

func TestTraceText(t *testing.T) {
	r := call(fakeAgents["five"], "trace", "--count", "5")
	require.Zero(t, r.status, r.err)
	require.Equal(t, 5, strings.Count(r.out, "GET /"), r.out)
	require.NotContains(t, r.out, "\x1b", "no colours off a terminal")
}

func TestTopTotals(t *testing.T) {
	r := call(fakeAgents["five"], "top", "--format", "json", "--interval", "100ms", "--count", "2")
	require.Zero(t, r.status, r.err)
	all := objects(t, r.out)
	require.GreaterOrEqual(t, len(all), 2, r.out)
	for _, o := range all[:len(all)-1] {
		require.Equal(t, false, o["final"])
	}
	final := all[len(all)-1]
	require.Equal(t, true, final["final"])
	services := final["services"].([]any)
	require.Len(t, services, 1)
	require.Equal(t, "shop", services[0].(map[string]any)["service"])
	require.Equal(t, float64(5), services[0].(map[string]any)["requests"])
}

func TestTopIntervalsDoNotOverflow(t *testing.T) {
	f := topFlags{interval: new(time.Duration)}
	f.count = new(uint64)
	table := table{flags: &f}
	require.Zero(t, table.afterIntervals(), "no count, no end")
	*f.count = 3
	require.Equal(t, 3500*time.Millisecond, table.afterIntervals())
	*f.count = 1 << 62
	require.Zero(t, table.afterIntervals())
}

func TestAgentThatCannotStart(t *testing.T) {
	failing := func(context.Context, config.Config, session) error { return errors.New("no\nluck") }
	for _, command := range []string{"trace", "top"} {
		r := call(failing, command)
		require.Equal(t, result{1, "", "lapwing: no luck\n"}, r)
	}
}

func TestAgentThatDoesNotEnd(t *testing.T) {
	a := newApp()
	var out, errs strings.Builder
	a.out, a.err, a.environ, a.run = &out, &errs, nil, fakeAgents["stuck"]
	a.prepare, a.drain = func() error { return nil }, 20*time.Millisecond
	require.Equal(t, 1, a.execute([]string{"trace", "--for", "10ms"}))
	require.Contains(t, errs.String(), "the agent did not stop within 20ms")
}

// TestFlagsReachTheConfiguration checks that each flag reaches the
// configuration of the agent.
func TestFlagsReachTheConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lapwing.yaml")
	require.NoError(t, os.WriteFile(file, []byte("services: [{name: shop, port: 8080}]\n"), 0o644))
	var got config.Config
	var s session
	agent := func(_ context.Context, cfg config.Config, asked session) error {
		got, s = cfg, asked
		return nil
	}
	r := call(agent, "trace", "--port", "80,81", "--port=82", "--pid", "7", "--exe", "nginx", "--exe", "/opt/a,b",
		"--service", "shop*", "--probe-plan", "syscall", "--markers", "on", "--head-bytes", "64", "--otlp-endpoint", "http://127.0.0.1:4318", "--config", file)
	require.Zero(t, r.status, r.err)
	require.Equal(t, []uint16{80, 81, 82}, got.Filter.Ports)
	require.Equal(t, []uint32{7}, got.Filter.PIDs)
	require.Equal(t, []string{"nginx", "/opt/a,b"}, got.Filter.Exes)
	require.Equal(t, []string{"shop*"}, got.Filter.Services)
	require.Equal(t, survey.PlanSyscall, got.Probes.Plan)
	require.Equal(t, marker.On, got.Probes.Markers)
	require.Equal(t, 64, got.Probes.HeadBytes)
	require.Equal(t, "shop", got.Services[0].Name)
	require.True(t, s.OTLP)

	require.Zero(t, call(agent, "trace").status)
	require.Equal(t, config.Default(), got, "no flag, no change")
	require.False(t, s.OTLP, "trace exports only when it is told where to")
}

func TestDaemonTellsSystemd(t *testing.T) {
	address := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	listener, err := net.ListenUnixgram("unixgram", address)
	require.NoError(t, err)
	defer listener.Close()
	t.Setenv("NOTIFY_SOCKET", address.Name)
	file := filepath.Join(t.TempDir(), "lapwing.yaml")
	require.NoError(t, os.WriteFile(file, []byte("export: {otlp: {endpoint: 'http://127.0.0.1:1'}}\n"), 0o644))

	r := call(func(_ context.Context, _ config.Config, s session) error {
		s.Attached(survey.PlanSyscall, func() health.Health { return health.Health{} })
		return nil
	}, "run", "--config", file)
	require.Zero(t, r.status, r.err)
	require.Contains(t, r.err, `msg="probes attached" plan=syscall`)
	for _, want := range []string{"READY=1", "STOPPING=1"} {
		buffer := make([]byte, 64)
		require.NoError(t, listener.SetReadDeadline(time.Now().Add(10*time.Second)))
		n, err := listener.Read(buffer)
		require.NoError(t, err)
		require.Equal(t, want, string(buffer[:n]))
	}
}

func TestSummary(t *testing.T) {
	var out strings.Builder
	(&app{err: &out}).summarize(health.Health{
		health.Requests: health.Of(12), health.Incomplete: health.Of(1),
		health.Lost:        health.By(map[string]uint64{"ring_full": 2, "table_full": 1}),
		health.MissedStart: health.By(map[string]uint64{"queued": 3}),
		health.Unknown:     health.By(map[string]uint64{"tls": 5}),
		health.Dropped:     health.ByBoth(map[string]map[string]uint64{"output": {"slow_output": 4}, "otlp": {}}),
	})
	require.Equal(t, "lapwing: 12 requests, 1 incomplete, 3 (ring_full 2, table_full 1) lost, 3 (queued 3) missed at the start, 5 (tls 5) connections of unknown protocol, 4 (slow_output 4) dropped by output\n", out.String())
}

func TestLateLogIsBounded(t *testing.T) {
	var l lateLog
	log := logger(&l, config.Log{Level: "info"})
	for range 2000 {
		log.Info("something happened", "detail", strings.Repeat("x", 40))
	}
	var out strings.Builder
	l.replay(&out)
	require.Less(t, out.Len(), lateLogLimit+1024)
	require.Contains(t, out.String(), "log lines were left out while the table was shown")
}

// TestSilenceIsExplained has an agent that sees no request, for different
// reasons.
func TestSilenceIsExplained(t *testing.T) {
	for want, tt := range map[string]struct {
		h    health.Health
		args []string
	}{
		"no request finished; lapwing workers shows servers that are stuck":                                                {},
		"no request matching the filter finished; lapwing workers":                                                         {args: []string{"--port", "80"}},
		"connections spoke an unknown protocol: 3 (tls 3); with TLS, trace the server behind the proxy that terminates it": {h: health.Health{health.Unknown: health.By(map[string]uint64{"tls": 3})}},
		"7 requests finished, but none took 200ms or longer (--slow)":                                                      {h: health.Health{health.Requests: health.Of(7)}, args: []string{"--slow", "200ms"}},
		"in flight when the agent started: 2 (in_progress 2); lapwing workers shows them":                                  {h: health.Health{health.MissedStart: health.By(map[string]uint64{"in_progress": 2})}},
	} {
		a := newApp()
		var out strings.Builder
		errs := new(output)
		a.out, a.err, a.environ, a.silence = &out, errs, nil, 10*time.Millisecond
		a.prepare = func() error { return nil }
		a.filter = noCheck
		a.run = func(ctx context.Context, _ config.Config, s session) error {
			s.Attached(survey.PlanSocket, func() health.Health { return tt.h })
			<-ctx.Done()
			return s.Tracers[0].Shutdown(context.Background())
		}
		require.Zero(t, a.execute(append([]string{"trace", "--for", "300ms"}, tt.args...)))
		require.Contains(t, errs.String(), "lapwing: nothing to show after 10ms: ")
		require.Contains(t, errs.String(), want)
	}
}

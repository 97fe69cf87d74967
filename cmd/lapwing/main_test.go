package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/agent/config"
	"lapwing/collectors/request"
	"lapwing/exporters/health"
	"lapwing/probes/socket/survey"
)

// fakeEnv makes the test binary act as the command with a fake agent, for tests
// of signals and pipes, which need a separate process. Its value names the
// agent.
const fakeEnv = "TEST_FAKE_AGENT"

func TestMain(m *testing.M) {
	if agent, ok := fakeAgents[os.Getenv(fakeEnv)]; ok {
		a := newApp()
		a.run, a.prepare = agent, func() error { return nil }
		os.Exit(a.execute(os.Args[1:]))
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

// buildDir holds the real binary while the tests run. Other users can enter it.
var buildDir = filepath.Join(os.TempDir(), fmt.Sprintf("lapwing-test-%d", os.Getpid()))

var build = sync.OnceValues(func() (string, error) {
	if err := os.MkdirAll(buildDir, 0o755); err != nil {
		return "", err
	}
	binary := filepath.Join(buildDir, "lapwing")
	cmd := exec.Command("go", "build", "-ldflags", "-X main.version=v1.2.3-test", "-o", binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build lapwing: %w\n%s", err, out)
	}
	return binary, nil
})

// lapwing builds the real command once and returns its path.
func lapwing(t *testing.T) string {
	t.Helper()
	binary, err := build()
	require.NoError(t, err)
	return binary
}

// result is the result of a command.
type result struct {
	status   int
	out, err string
}

// noCheck accepts every filter without looking at the processes of this host.
var noCheck = filterCheck{func(config.Config) error { return nil }, func(config.Config) []string { return nil }}

// call runs a command line in this process, with a fake agent.
func call(agent runFunc, args ...string) result {
	a := newApp()
	var out, errs bytes.Buffer
	a.in, a.out, a.err = new(bytes.Buffer), &out, &errs
	a.environ, a.run = nil, agent
	a.prepare = func() error { return nil }
	a.filter = noCheck
	return result{a.execute(args), out.String(), errs.String()}
}

// served returns a request that took d, all of it in the application.
func served(service string, d time.Duration) *request.Request {
	arrived := request.Now() - request.Stamp(d)
	r := &request.Request{Service: service, Protocol: "http/1.1", Method: "GET", Path: []byte("/"), Status: 200, Seq: 1}
	r.Arrived, r.ReadFirst, r.ReadLast = arrived, arrived, arrived
	r.WriteFirst, r.WriteLast = arrived+request.Stamp(d), arrived+request.Stamp(d)
	return r
}

// agentThat returns a fake agent that exports the requests that next returns,
// one by one, until ctx ends or next returns nil.
func agentThat(next func(i int) *request.Request) runFunc {
	return func(ctx context.Context, _ config.Config, s session) error {
		var requests atomic.Uint64
		s.Attached(survey.PlanSocket, func() health.Health {
			return health.Health{health.Requests: health.Of(requests.Load())}
		})
		for i := 0; i < 5 || ctx.Err() == nil; i++ { // a signal may arrive right after the start
			r := next(i)
			if r == nil {
				<-ctx.Done()
				break
			}
			requests.Add(1)
			for _, e := range s.Exporters {
				e.Export(r)
			}
			request.AssignIDs(r)
			for _, t := range s.Tracers {
				t.Trace(r)
			}
		}
		for _, t := range s.Tracers {
			if err := t.Shutdown(context.Background()); err != nil {
				return err
			}
		}
		for _, e := range s.Exporters {
			if err := e.Shutdown(context.Background()); err != nil {
				return err
			}
		}
		return nil
	}
}

// fakeAgents are the agents that a separate process can run.
var fakeAgents = map[string]runFunc{
	"five":    agentThat(firstFive),
	"endless": agentThat(func(int) *request.Request { return served("shop", time.Millisecond) }),
	"stuck": func(_ context.Context, _ config.Config, s session) error {
		s.Attached(survey.PlanSocket, func() health.Health { return health.Health{} })
		select {}
	},
}

// firstFive returns five requests that took 100 to 500 ms.
func firstFive(i int) *request.Request {
	if i >= 5 {
		return nil
	}
	return served("shop", time.Duration(i+1)*100*time.Millisecond)
}

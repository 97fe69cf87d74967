package e2e

import (
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

// startArch starts a reference server and waits until it listens.
func startArch(t *testing.T, arch, address string, args ...string) {
	t.Helper()
	args = append([]string{"--arch", arch, "--listen", address, "--workers", "2"}, args...)
	harness.AwaitListener(t, harness.Start(t, exec.Command(harness.RefServer(t), args...)), address)
}

// TestHops sends requests to a server that calls another one. Each hop is a
// request of its own server. Its peer is the other server's end of the
// connection, and it lies within the app phase of the request that caused it.
func TestHops(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		inner, outer, front := harness.FreeAddress(t), harness.FreeAddress(t), harness.FreeAddress(t)
		daemon := harness.FreeAddress(t)
		startArch(t, "prefork", inner)
		startArch(t, "prefork", outer)
		startArch(t, "daemon", daemon)
		startArch(t, "front", front, "--upstream", "http://"+daemon)
		trace := harness.StartTrace(t, plan)
		visit(t, "http://"+outer+"/downstream?url=http://"+inner+"/sleep%3Fms=20")
		visit(t, "http://"+front+"/sleep?ms=20")
		for _, hop := range []struct{ name, from, to, path string }{
			{"downstream call", outer, inner, "/downstream"},
			{"front end to daemon", front, daemon, "/sleep"},
		} {
			from, to := only(t, trace, hop.from), only(t, trace, hop.to)
			assert.Equal(t, hop.path, from.Path, hop.name)
			assert.Equal(t, "/sleep", to.Path, hop.name)
			assert.NotEqual(t, from.PID, to.PID, hop.name)
			assert.NotEqual(t, from.Peer, to.Peer, hop.name)
			within(t, hop.name, from, to)
		}
		trace.Finish()
	})
}

// TestHopOverUnixSocket checks that the peer of a client on a unix socket is
// the socket.
func TestHopOverUnixSocket(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		path, front := filepath.Join(t.TempDir(), "app.sock"), harness.FreeAddress(t)
		daemon := harness.Start(t, exec.Command(harness.RefServer(t), "--arch", "daemon", "--listen", "unix:"+path, "--workers", "2"))
		harness.Eventually(t, 10*time.Second, "the daemon's socket", func() bool {
			found, _ := filepath.Glob(path)
			return len(found) > 0 && !daemon.Exited()
		})
		startArch(t, "front", front, "--upstream", "http://unix:"+path)
		trace := harness.StartTrace(t, plan)
		visit(t, "http://"+front+"/sleep?ms=20")
		from, to := only(t, trace, front), only(t, trace, "unix:"+path)
		assert.Equal(t, "/sleep", to.Path)
		within(t, "front end to daemon", from, to)
		trace.Finish()
	})
}

func visit(t *testing.T, url string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

// joined is how long a request of a hop may wait for its place in a trace.
const joined = 6 * time.Second

// only returns the single request that the agent saw at an address.
func only(t *testing.T, trace *harness.Trace, address string) harness.Record {
	t.Helper()
	records := slices.Clone(trace.AwaitRecords(address, 1, handOut()+joined))
	require.Len(t, records, 1, "requests at %s", address)
	return records[0]
}

// within checks that the inner request happened during the app phase of the
// outer one.
func within(t *testing.T, name string, outer, inner harness.Record) {
	t.Helper()
	begin, err := outer.Arrived()
	require.NoError(t, err)
	at, err := inner.Arrived()
	require.NoError(t, err)
	begin = begin.Add(time.Duration(value(outer.Queue) + value(outer.Parse)))
	end := begin.Add(time.Duration(value(outer.App)))
	assert.False(t, at.Before(begin), "%s began %s before the app phase", name, begin.Sub(at))
	left := end.Sub(at.Add(time.Duration(value(inner.Duration) - value(inner.WriteBack))))
	assert.False(t, left < 0, "%s answered %s after the app phase", name, -left)
	assert.GreaterOrEqual(t, value(inner.App), int64(20*time.Millisecond), name)
}

package soak

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/attack"
	"lapwing/agent/e2e/harness"
)

// hostileUser is the user id of the attacker.
const hostileUser = 64502

// user is an attacking user with a constant number of processes.
type user struct {
	dir      string
	programs []string
	victims  []string

	started atomic.Uint64
	stop    chan struct{}
	all     sync.WaitGroup
}

// startUser starts a user. What each process does follows from the seed, but
// when it does so depends on the machine.
func startUser(t *testing.T, seed uint64, processes int, victims ...string) *user {
	t.Helper()
	u := &user{dir: harness.OpenDir(t), victims: victims, stop: make(chan struct{})}
	program := filepath.Join(u.dir, "user")
	raw, err := os.ReadFile(harness.HostileUser(t))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, raw, 0o755))
	for _, name := range attack.Programs {
		u.programs = append(u.programs, filepath.Join(u.dir, name))
		require.NoError(t, os.Link(program, filepath.Join(u.dir, name)))
	}
	for i := range processes {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		u.all.Go(func() {
			u.rest(time.Duration(rng.Int64N(int64(3 * time.Second)))) // not all at the same time
			for u.live(t, rng) {
			}
		})
	}
	t.Cleanup(u.end)
	return u
}

// live runs one process to its end, and reports whether there is time for
// another.
func (u *user) live(t *testing.T, rng *rand.Rand) bool {
	select {
	case <-u.stop:
		return false
	default:
	}
	life := attack.Life{Seed: rng.Uint64(), Dir: u.dir, Time: 200*time.Millisecond + time.Duration(rng.Int64N(int64(12*time.Second))), Victims: u.victims}
	cmd := exec.Command(u.programs[rng.IntN(len(u.programs))])
	cmd.Args = life.Args(rng)
	cmd.Env = []string{"GOMAXPROCS=1"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: &syscall.Credential{Uid: hostileUser, Gid: hostileUser}}
	if !assert.NoError(t, cmd.Start(), "a process of the hostile user was not started") {
		return false
	}
	u.started.Add(1)
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-u.stop:
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	}
	return true
}

func (u *user) rest(d time.Duration) {
	select {
	case <-u.stop:
	case <-time.After(d):
	}
}

// end ends all processes.
func (u *user) end() {
	select {
	case <-u.stop:
	default:
		close(u.stop)
	}
	u.all.Wait()
}

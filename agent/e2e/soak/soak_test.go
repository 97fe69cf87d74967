package soak

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/probes/socket/survey"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

const (
	// processes is the number of the user's processes at any time.
	processes = 200
	// shortTime is the time per plan in make test, unless timeVariable sets
	// another.
	shortTime    = 7 * time.Second
	timeVariable = "LAPWING_SOAK_TIME"
	seedVariable = "LAPWING_SOAK_SEED"

	// After memoryWarm, half a minute, the limits of the metrics and of what is
	// remembered about processes are reached. From then on the memory may only
	// grow by the latitude. Before that, it only has a limit.
	memoryWarm     = 30 * time.Second
	memoryLatitude = 10 << 20
	memoryLimit    = 96 << 20

	// scrapeTime is the default timeout of Prometheus. With two CPUs that 200
	// other processes use, a page of 2 MB takes long.
	scrapeTime = 10 * time.Second
	endTime    = time.Second
)

// duration returns how long each plan is tested.
func duration(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv(timeVariable)
	if text == "" {
		return shortTime
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err, timeVariable)
	return d / 2
}

// seed returns the requested seed, or a new one.
func seed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv(seedVariable)
	if text == "" {
		return uint64(time.Now().UnixNano()) % 1_000_000
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, seedVariable)
	return n
}

// TestHostileUser runs the agent with nginx and gunicorn, which get requests
// all the time, and with an unprivileged user who does everything in package
// attack at random. The counts of clients, servers and agent must be equal, and
// the agent must be in the same state as before.
func TestHostileUser(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		seed, lasts := seed(t), duration(t)
		t.Logf("seed %d for %s; again with: make soak TIME=%s SEED=%d", seed, lasts, 2*lasts, seed)
		a := startAgent(t, plan)
		victims := []*victim{startNginx(t), startGunicorn(t)}
		loads := []*load{startLoad(t, victims[0], 4, 4*time.Millisecond), startLoad(t, victims[1], 4, 20*time.Millisecond)}
		harness.Eventually(t, 10*time.Second, "the victims in the metrics", func() bool {
			page := a.page(t)
			return answered(t, page, victims[0].service) > 0 && answered(t, page, victims[1].service) > 0
		})
		time.Sleep(500 * time.Millisecond)
		before := harness.Resident(t, a.PID())
		descriptors, kinds := a.descriptors(t)
		attackers := startUser(t, seed, processes, victims[0].address, victims[1].address)

		warm, most := soak(t, a, lasts)
		attackers.end()
		started := attackers.started.Load()
		for i, l := range loads {
			l.end()
			if err := l.failed.Load(); err != nil {
				assert.NoError(t, *err, "%s did not answer its clients", victims[i].service)
			}
		}
		page := settle(t, a, victims, loads)
		lost := uint64(harness.SumOf(t, page, "lapwing_agent_requests_lost_total"))
		for i, v := range victims {
			asked, served, seen := loads[i].answered.Load(), v.served(t), answered(t, page, v.service)
			t.Logf("%s: clients %d, its log %d, agent %d, lost %d; slowest answer %s", v.service, asked, served, seen, lost, time.Duration(loads[i].slowest.Load()))
			assert.Equal(t, asked, served, "%s: what clients and server counted", v.service)
			assert.LessOrEqual(t, seen, served, "%s: requests that were none", v.service)
			assert.GreaterOrEqual(t, seen+lost, served, "%s: requests that are missing, and were not counted as lost", v.service)
		}
		var now int
		var more map[string]int
		harness.Within(20*time.Second, func() bool { now, more = a.descriptors(t); return now <= descriptors })
		assert.LessOrEqual(t, now, descriptors, "open files: %v, before %v", more, kinds)
		assert.Less(t, max(warm, most), uint64(memoryLimit), "memory")
		if lasts > 2*memoryWarm {
			assert.LessOrEqual(t, most, warm+memoryLatitude, "memory")
		}
		assert.Less(t, time.Duration(a.slowest.Load()), harness.Slow(scrapeTime), "the slowest scrape")
		spent := harness.CPUTime(t, a.PID())
		account, took := a.end(t)
		assert.Less(t, took, harness.Slow(endTime), "the end after SIGTERM")
		assert.NotContains(t, a.Stderr(), "goroutine ")
		t.Logf("%d processes; %s of the processor; memory %d KiB, warm %d, at most %d; slowest scrape %s, largest %d bytes; ended after %s\n%s",
			started, spent, before>>10, warm>>10, most>>10, time.Duration(a.slowest.Load()), a.largest.Load(), took, account)
	})
}

// soak scrapes twice a second. It returns the highest memory use until it was
// warm, and the highest after that.
func soak(t *testing.T, a *agent, lasts time.Duration) (warm, most uint64) {
	t.Helper()
	began := time.Now()
	for tick := time.NewTicker(500 * time.Millisecond); time.Since(began) < lasts; <-tick.C {
		require.False(t, a.Exited(), "the agent ended: %s", a.Stderr())
		a.page(t)
		if now := harness.Resident(t, a.PID()); time.Since(began) < memoryWarm {
			warm = max(warm, now)
		} else {
			most = max(most, now)
		}
	}
	return warm, most
}

// settle waits until the agent has seen what was served, for a limited time.
func settle(t *testing.T, a *agent, victims []*victim, loads []*load) (page string) {
	t.Helper()
	harness.Within(5*time.Second, func() bool {
		time.Sleep(200 * time.Millisecond)
		page = a.page(t)
		for i, v := range victims {
			if answered(t, page, v.service) < loads[i].answered.Load() {
				return false
			}
		}
		return true
	})
	for line := range strings.SplitSeq(page, "\n") {
		if strings.HasPrefix(line, "lapwing_agent_requests_lost_total") {
			t.Log(line)
		}
	}
	return page
}

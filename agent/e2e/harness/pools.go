package harness

import (
	"encoding/json"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/worker"
	"lapwing/probes/socket/survey"
)

// Pools is a running `lapwing workers --format json`.
type Pools struct {
	*Process
	mu      sync.Mutex
	objects []PoolsObject
	err     error
	read    chan struct{} // closed when the output has ended
}

// PoolsObject is an object that `lapwing workers --format json` prints.
type PoolsObject struct {
	Final bool        `json:"final"`
	Pools []Pool      `json:"pools"`
	Host  worker.Host `json:"host"`

	InFlight *uint64 `json:"in_flight"` // in the final object
}

// Pool is one pool in it.
type Pool struct {
	worker.Snapshot
	Scoreboard  string   `json:"scoreboard"`
	Requests    uint64   `json:"requests"`
	Rate        *float64 `json:"rate"`
	Utilisation *float64 `json:"utilisation"`
}

// StartPools starts the agent and waits until its probes are attached.
func StartPools(t testing.TB, plan survey.Plan, args ...string) *Pools {
	t.Helper()
	process, out := startAgent(t, "workers", plan, args)
	p := &Pools{Process: process, read: make(chan struct{})}
	go p.collect(out)
	awaitAttached(t, process, plan)
	awaitMarkers(t, process, args)
	return p
}

func (p *Pools) collect(out io.Reader) {
	defer close(p.read)
	for dec := json.NewDecoder(out); ; {
		var o PoolsObject
		err := dec.Decode(&o)
		p.mu.Lock()
		if err == nil {
			p.objects = append(p.objects, o)
		} else if err != io.EOF {
			p.err = err
		}
		p.mu.Unlock()
		if err != nil {
			_, _ = io.Copy(io.Discard, out)
			return
		}
	}
}

// Objects returns what was printed so far.
func (p *Pools) Objects() []PoolsObject {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]PoolsObject(nil), p.objects...)
}

// Await waits for an object with a single pool that satisfies is, and returns
// it.
func (p *Pools) Await(limit time.Duration, what string, is func(Pool) bool) Pool {
	p.t.Helper()
	return p.await(limit, what, func(all []Pool) (Pool, bool) {
		if len(all) != 1 {
			return Pool{}, false
		}
		return all[0], true
	}, is)
}

// AwaitOf waits until the pool of a service satisfies is, and returns it.
func (p *Pools) AwaitOf(limit time.Duration, service, what string, is func(Pool) bool) Pool {
	p.t.Helper()
	return p.await(limit, service+": "+what, func(all []Pool) (Pool, bool) {
		i := slices.IndexFunc(all, func(one Pool) bool { return one.Service == service })
		if i < 0 {
			return Pool{}, false
		}
		return all[i], true
	}, is)
}

func (p *Pools) await(limit time.Duration, what string, choose func([]Pool) (Pool, bool), is func(Pool) bool) (found Pool) {
	p.t.Helper()
	last := "no pool"
	if !Within(limit, func() bool {
		for _, o := range p.Objects() {
			one, ok := choose(o.Pools)
			if !ok {
				continue
			}
			found, last = one, one.Scoreboard
			if is(found) {
				return true
			}
		}
		return false
	}) {
		found.PerWorker = nil
		_ = p.Stop() // it reports losses at its end
		require.Fail(p.t, "a pool was not seen", "not seen within %v: %s; last seen: [%s] %+v\n%s",
			limit, what, last, found.Snapshot, p.Stderr())
	}
	return found
}

// Finish ends the agent like a user does and returns its last object, which has
// the totals.
func (p *Pools) Finish() PoolsObject {
	p.t.Helper()
	assert.NoError(p.t, p.Stop(), "the agent must end with status 0:\n%s", p.Stderr())
	<-p.read
	all := p.Objects()
	require.True(p.t, p.err == nil && len(all) > 0 && all[len(all)-1].Final,
		"no final object after %d: %v\n%s", len(all), p.err, p.Stderr())
	return all[len(all)-1]
}

package agent

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/agent/config"
	"lapwing/collectors/request"
	"lapwing/exporters/health"
	"lapwing/exporters/metrics"
	"lapwing/probes/socket/wire"
)

// TestMemoryOfRecycledWorkers has 100,000 processes that each serve one request
// and end, and passes their records through every stage after the probes.
func TestMemoryOfRecycledWorkers(t *testing.T) {
	// After full workers, everything that is remembered about processes has
	// reached its limit.
	const workers, full = 100_000, 20_000
	a := newAgent(t, config.Default())
	pools := a.WatchPools()
	a.metrics = metrics.New(metrics.Config{MaxLabelSets: 100})
	a.Add("metrics", a.metrics)
	s := stages{a.assembler, a.stitcher, new(atomic.Uint64)}
	var before uint64
	for n := range uint32(workers) {
		s.HandleRecord(wire.Final, servedBy(n))
		if n%100 == 0 {
			s.Tick(time.Now())
			pools.Refresh()
		}
		if n == full {
			before = heapInUse()
		}
	}
	s.Flush() // the last ones wait for their names
	grown := int64(heapInUse()) - int64(before)
	pools.Refresh()
	all := pools.Snapshot()
	require.Len(t, all, 1)
	assert.Equal(t, []uint64{workers, workers}, []uint64{all[0].Served, all[0].Exits + uint64(all[0].Workers)})
	assert.EqualValues(t, workers, a.Health().Total(health.Requests))
	assert.Less(t, grown, int64(1<<20), "bytes that %d workers left behind", workers-full)
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// servedBy returns the one request of the n-th worker, whose process never
// existed.
func servedBy(n uint32) wire.Record {
	const get, ok = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	now, pid := uint64(request.Now()), 1<<24+n
	return wire.Compose(wire.RecordFields{
		Conn: uint64(n) + 1, Seq: 1, Family: unix.AF_INET, LocalPort: 8080, PeerPort: uint16(n),
		Established: now - 500, Accepted: now - 400, Arrived: now - 400, ArrivedLast: now - 400,
		ReadFirst: now - 300, ReadLast: now - 300, WriteFirst: now - 200, WriteLast: now - 100, Closed: now,
		RequestBytes: uint64(len(get)), ResponseBytes: uint64(len(ok)), Pid: pid, Tid: pid,
		Comm: [16]int8{'s', 'h', 'o', 'p'},
	}, nil, []byte(get), []byte(ok))
}

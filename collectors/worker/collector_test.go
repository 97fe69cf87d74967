package worker

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/collectors/process"
	"lapwing/collectors/request"
	"lapwing/probes/socket/snapshot"
	"lapwing/probes/socket/wire"
)

// world is a host as the collector sees it.
type world struct {
	*Collector
	now     request.Stamp
	threads map[uint32]process.Thread
	found   snapshot.Snapshot
	counts  ListenCounts // of every network namespace

	lookTakes time.Duration // CPU time
	looks     int
	untouched bool // no connection was in use since the last look
}

const port = 8080

func newWorld(t testing.TB, change func(*Options)) *world {
	w := &world{now: request.Stamp(100 * time.Second), threads: map[uint32]process.Thread{}}
	o := Options{
		Service: func(pid uint32, _ string, _ uint16) (string, bool) { return "shop", pid < 1_000_000 },
		Ended:   func(r wire.Record) bool { return len(r.ResponseHead()) > 0 },
		Thread: func(_, tid uint32) (process.Thread, error) {
			if th, ok := w.threads[tid]; ok {
				return th, nil
			}
			return process.Thread{}, errors.New("gone")
		},
		Usage:  func(uint32) (process.Usage, error) { return process.Usage{Threads: 1, RSS: 7}, nil },
		Counts: func(uint32, uint32) (ListenCounts, error) { return w.counts, nil },
		Now:    func() request.Stamp { return w.now },
	}
	if change != nil {
		change(&o)
	}
	w.Collector = New(o)
	w.setSource(w)
	return w
}

func (w *world) SnapConns(s *snapshot.Snapshot) error {
	s.Conns = w.found.Conns
	w.looks++
	spin(w.lookTakes)
	return nil
}

// spin uses CPU time of a thread, whatever else runs.
func spin(d time.Duration) {
	used := func() time.Duration {
		var t unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
		return time.Duration(t.Nano())
	}
	for began := used(); used()-began < d; {
	}
}

func (w *world) Touched() bool { return !w.untouched }

func (w *world) SnapFiles(s *snapshot.Snapshot, _ bool) error {
	s.Listeners, s.Waiters, s.Holders = w.found.Listeners, w.found.Waiters, w.found.Holders
	return nil
}

// runs adds a thread that existed before the collector.
func (w *world) runs(pid, tid uint32) {
	w.threads[tid] = process.Thread{PID: pid, Start: time.Duration(tid), Comm: "shop"}
}

// born adds a thread that started after the collector.
func (w *world) born(pid, tid uint32, after time.Duration) {
	w.threads[tid] = process.Thread{PID: pid, Start: w.booted + after}
}

// served returns a request that a thread read, worked on for the given time, and
// has just answered.
func (w *world) served(tid uint32, took time.Duration) *request.Request {
	return &request.Request{
		Stamps: request.Stamps{
			Arrived: w.now - request.Stamp(took) - 5, ReadFirst: w.now - request.Stamp(took), ReadLast: w.now - request.Stamp(took),
			WriteFirst: w.now - 1, WriteLast: w.now,
		},
		Protocol: "http/1.1", Method: "PUT", Seq: 2, PID: tid, TID: tid, WriterTID: tid, AcceptorTID: tid, Service: "shop",
		Local: request.Endpoint{Addr: netip.MustParseAddrPort("127.0.0.1:8080")},
	}
}

func (w *world) pass(d time.Duration) { w.now += request.Stamp(d) }

func (w *world) the(t testing.TB) Snapshot {
	t.Helper()
	w.pass(time.Second)
	all := w.Snapshot()
	require.Len(t, all, 1)
	return all[0]
}

// conn returns a connection on the pool's port.
func (w *world) conn(work snapshot.Work, tid uint32, response string) snapshot.Conn {
	s := snapshot.ComposeConn(work, wire.Compose(wire.RecordFields{
		Pid: tid, Tid: tid, AcceptorTid: tid, Family: unix.AF_INET, LocalPort: port, Sk: uint64(tid),
		Arrived: uint64(w.now) - 300, ReadFirst: uint64(w.now) - 200, ReadLast: uint64(w.now) - 100,
	}, nil, []byte("GET / HTTP/1.1\r\n\r\n"), []byte(response)))
	s.Now = uint64(w.now)
	return s
}

func TestCountsOfFinishedRequests(t *testing.T) {
	w := newWorld(t, nil)
	w.runs(10, 10)
	w.runs(11, 11)
	for i := range 4 {
		w.pass(100 * time.Millisecond)
		w.Export(w.served(10, 50*time.Millisecond))
		if i == 0 {
			w.Export(w.served(11, 80*time.Millisecond))
		}
	}
	w.Refresh()
	s := w.the(t)
	assert.Equal(t, uint64(5), s.Served)
	assert.Equal(t, 280*time.Millisecond, s.BusyTime)
	assert.Equal(t, 80*time.Millisecond, s.Longest)
	assert.InDelta(t, 1.6, s.Uneven, 1e-9)
	assert.Equal(t, 2, s.Workers)
	assert.Equal(t, 2, s.Available)
	assert.Zero(t, s.Starts, "they were there before")
	assert.Equal(t, 2*400*time.Millisecond, s.WorkerTime, "as of a second ago")
	require.Len(t, s.PerWorker, 2)
	assert.Equal(t, uint64(4), s.PerWorker[0].Served)
	assert.Equal(t, 200*time.Millisecond, s.PerWorker[0].BusyTime)
	w.pass(3 * time.Second)
	w.Refresh()
	assert.Equal(t, 2, w.the(t).MaxBusy)
}

func TestStatesOfWorkers(t *testing.T) {
	w := newWorld(t, nil)
	for tid := uint32(10); tid < 16; tid++ {
		w.runs(tid, tid)
		w.pass(time.Second)
		w.Export(w.served(tid, time.Millisecond))
	}
	w.pass(time.Second)
	held := w.conn(snapshot.WorkNone, 13, "")
	held.WaiterPid, held.WaiterTid, held.WaiterHow = 13, 13, uint8(snapshot.WaitCall)
	elsewhere := w.conn(snapshot.WorkNone, 14, "")
	elsewhere.WaiterPid, elsewhere.WaiterTid, elsewhere.WaiterHow = 14, 14, uint8(snapshot.WaitMany)
	unread := w.conn(snapshot.WorkNone, 0, "")
	unread.Unread = 80
	w.found.Conns = []snapshot.Conn{
		w.conn(snapshot.WorkReading, 10, ""), w.conn(snapshot.WorkComputing, 11, ""),
		w.conn(snapshot.WorkResponding, 12, ""), held, elsewhere, unread, unread,
		w.conn(snapshot.WorkResponding, 15, "complete"),
	}
	all := w.Snapshot()
	require.Len(t, all, 1)
	s := all[0]
	assert.Equal(t, []int{6, 3, 1, 2}, []int{s.Workers, s.Busy, s.Held, s.Available})
	assert.Equal(t, 2, s.Dispatch)
	assert.Equal(t, 3, s.InFlight)
	assert.Equal(t, map[string]int{"GET": 3, "PUT": 0}, s.Active)
	assert.True(t, s.HTTP)
	assert.Equal(t, 3, s.MaxBusy)
	var states []string
	for _, worker := range s.PerWorker {
		states = append(states, fmt.Sprint(worker.TID, " ", worker.State, " ", worker.Phase))
	}
	assert.Equal(t, []string{"10 busy parse", "11 busy app", "12 busy write_back", "13 held ", "14 available ", "15 available "}, states)
	assert.Equal(t, time.Duration(200), s.PerWorker[0].Age)
	assert.Equal(t, time.Duration(100), s.PerWorker[0].Queue)
}

// TestUtilisationCountsWhatIsInProgress looks at a pool whose only requests take
// longer than the look.
func TestUtilisationCountsWhatIsInProgress(t *testing.T) {
	w := newWorld(t, nil)
	w.runs(10, 10)
	w.runs(11, 11)
	w.Export(w.served(10, 1))
	w.Export(w.served(11, 1))
	w.pass(time.Second)
	w.found.Conns = []snapshot.Conn{w.conn(snapshot.WorkComputing, 10, "")}
	for range 20 {
		w.Refresh()
		w.pass(time.Second)
	}
	before := w.the(t)
	assert.InDelta(t, .5, before.Utilisation, .01)
	assert.InDelta(t, 20, before.BusyTime.Seconds(), 1.1)

	// The request ends. What was in progress is finished now and counts once.
	w.found.Conns = nil
	w.Export(w.served(10, 21*time.Second))
	assert.InDelta(t, before.BusyTime.Seconds(), w.the(t).BusyTime.Seconds(), 1.1)
}

func TestEventLoop(t *testing.T) {
	w := newWorld(t, nil)
	w.runs(10, 10)
	for range 10 {
		w.pass(10 * time.Millisecond)
		w.Export(w.served(10, 100*time.Millisecond))
	}
	w.Refresh()
	th := w.threads[10]
	th.CPU = 300 * time.Millisecond
	w.threads[10] = th
	w.pass(time.Second)
	w.found.Conns = []snapshot.Conn{w.conn(snapshot.WorkComputing, 10, ""), w.conn(snapshot.WorkComputing, 10, "")}
	w.Refresh()
	s := w.the(t)
	assert.True(t, s.PerWorker[0].Loop)
	assert.Equal(t, 2, s.PerWorker[0].InFlight)
	assert.Equal(t, 1, s.Busy)
	assert.Equal(t, 1, s.MaxBusy)
	assert.Equal(t, 300*time.Millisecond, s.CPUTime)
}

// TestRequestsThatComeLate reports the requests of one thread in the order in which
// their connections became quiet, which is not the order in which it served them.
func TestRequestsThatComeLate(t *testing.T) {
	const took = 10 * time.Millisecond
	w := newWorld(t, nil)
	w.runs(10, 10)
	var all []*request.Request
	for range 60 {
		w.pass(took)
		all = append(all, w.served(10, took))
	}
	for i := range all { // 7, 6, … 0, 15, 14, …; some of them ended long before
		if j := i ^ 7; j < 40 {
			w.Export(all[j])
		}
	}
	for j := 59; j >= 40; j-- {
		w.Export(all[j])
	}
	s := w.the(t)
	assert.False(t, s.PerWorker[0].Loop)
	assert.Equal(t, 60*took, s.BusyTime)
	assert.Equal(t, uint64(60), s.Served)
	w.pass(3 * time.Second)
	assert.Equal(t, 1, w.the(t).MaxBusy)
}

// TestReaderIsNoWorker has a thread that accepts and reads, and other threads that
// answer.
func TestReaderIsNoWorker(t *testing.T) {
	w := newWorld(t, nil)
	for tid := uint32(10); tid < 13; tid++ {
		w.runs(10, tid)
	}
	for _, writer := range []uint32{11, 12, 11} {
		w.pass(time.Second)
		r := w.served(10, 900*time.Millisecond)
		r.WriterTID = writer
		w.Export(r)
	}
	s := w.the(t)
	require.Len(t, s.PerWorker, 2)
	assert.Equal(t, []uint32{11, 12}, []uint32{s.PerWorker[0].TID, s.PerWorker[1].TID})
	assert.False(t, s.PerWorker[0].Loop)

	w.found.Conns = []snapshot.Conn{w.conn(snapshot.WorkComputing, 10, "")}
	s = w.the(t)
	assert.Equal(t, []int{2, 1, 1}, []int{s.Workers, s.Busy, s.Available})
	assert.Equal(t, Unknown, s.PerWorker[0].State)
	w.found.Conns = append(w.found.Conns, w.found.Conns[0], w.found.Conns[0])
	s = w.the(t)
	assert.Equal(t, []int{2, 2, 0}, []int{s.Workers, s.Busy, s.Available})
	assert.Equal(t, 3, s.InFlight)
	assert.Equal(t, Busy, s.PerWorker[1].State)
}

func TestListenersAndWaiters(t *testing.T) {
	w := newWorld(t, nil)
	w.runs(10, 10)
	w.runs(11, 11)
	w.Export(w.served(10, time.Millisecond))
	listener := func(pid uint32, sk uint64, address string, n int, drops uint32) snapshot.Listener {
		return snapshot.Listener{PID: pid, Socket: sk, Address: netip.MustParseAddrPort(address), Len: n, Limit: 511, Drops: drops}
	}
	w.found.Listeners = []snapshot.Listener{
		listener(10, 1, "127.0.0.1:8080", 36, 5), listener(11, 1, "127.0.0.1:8080", 36, 5),
		listener(10, 2, "127.0.0.1:9999", 1, 9), // serves nothing
	}
	w.found.Waiters = []snapshot.Waiter{{PID: 11, TID: 11, Socket: 1}, {PID: 10, TID: 77, Socket: 2}}
	s := w.the(t)
	assert.Equal(t, 2, s.Workers, "the one that waits has served nothing yet")
	assert.Equal(t, []int{36, 511, 36}, []int{s.BacklogLen, s.BacklogLimit, s.BacklogMax})
	assert.Zero(t, s.Overflows, "these were before")
	w.counts.Drops += 3
	w.found.Listeners[0], w.found.Listeners[1] = listener(10, 1, "127.0.0.1:8080", 2, 8), listener(11, 1, "127.0.0.1:8080", 2, 8)
	s = w.the(t)
	assert.Equal(t, []int{2, 511, 36}, []int{s.BacklogLen, s.BacklogLimit, s.BacklogMax})
	assert.Equal(t, uint64(3), s.Overflows)
	w.found.Listeners = nil
	s = w.the(t)
	assert.Empty(t, s.Listeners)
	assert.Equal(t, 36, s.BacklogMax)
	assert.Equal(t, uint64(3), s.Overflows)
}

// TestRequestsFromBeforeTheStart has a pool of which only stuck requests are known.
func TestRequestsFromBeforeTheStart(t *testing.T) {
	w := newWorld(t, nil)
	w.runs(10, 10)
	stuck := w.conn(snapshot.WorkEarlier, 0, "")
	stuck.Record.Sk = 5
	w.found.Conns = []snapshot.Conn{stuck}
	w.pass(time.Second)
	require.Empty(t, w.Snapshot(), "whose it is has to be found first")
	w.found.Holders = []snapshot.Holder{{PID: 10, Socket: 5}}
	w.pass(time.Second)
	require.Empty(t, w.Snapshot(), "it need not be a server")
	w.found.Listeners = []snapshot.Listener{{PID: 10, Socket: 1, Address: netip.MustParseAddrPort("127.0.0.1:8080"), Limit: 9}}
	s := w.the(t)
	assert.True(t, s.Unconfirmed)
	assert.Equal(t, []int{1, 1, 9}, []int{s.Workers, s.Busy, s.BacklogLimit})
	assert.Equal(t, uint32(10), s.PerWorker[0].TID, "its process has no other thread")
}

// TestAnIDIsUsedAgain gives a thread's id to another thread.
func TestAnIDIsUsedAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.runs(10, 10)
	w.Export(w.served(10, 10*time.Millisecond))
	w.Refresh()
	w.born(10, 10, 5*time.Second)
	w.pass(time.Second)
	w.Refresh()
	w.pass(time.Second)
	w.Export(w.served(10, 20*time.Millisecond))
	w.Refresh()
	s := w.the(t)
	assert.Equal(t, []uint64{1, 1, 1, 2}, []uint64{s.Starts, s.Exits, s.Recycled, s.Served})
	assert.Equal(t, 30*time.Millisecond, s.BusyTime)
	require.Len(t, s.PerWorker, 1)
	assert.Equal(t, uint64(1), s.PerWorker[0].Served)
}

// TestRequestsOfWorkersThatEnded reports requests of a worker, and shows it in
// looks, after its end was noticed.
func TestRequestsOfWorkersThatEnded(t *testing.T) {
	w := newWorld(t, nil)
	w.runs(10, 10)
	w.runs(11, 11)
	w.Export(w.served(10, 10*time.Millisecond))
	w.Export(w.served(11, 10*time.Millisecond))
	w.Refresh()
	w.pass(time.Second)
	another := w.served(12, 10*time.Millisecond)
	w.pass(100 * time.Millisecond)
	last, unknown := w.served(10, 20*time.Millisecond), w.served(12, 30*time.Millisecond)
	delete(w.threads, 10)
	w.pass(100 * time.Millisecond)
	w.Refresh()
	w.Export(last)
	w.Export(unknown) // of a worker that started and ended between two looks
	w.meet()
	w.Export(another)
	w.meet()
	s := w.the(t)
	assert.Equal(t, []uint64{1, 2, 1, 5}, []uint64{s.Starts, s.Exits, s.Recycled, s.Served})
	assert.Equal(t, 80*time.Millisecond, s.BusyTime)
	assert.Zero(t, s.Untracked)
	require.Len(t, s.PerWorker, 1)
	assert.Equal(t, uint32(11), s.PerWorker[0].PID)

	w.runs(10, 10)
	w.found.Waiters = []snapshot.Waiter{{PID: 10, TID: 10, Socket: 5}}
	w.found.Listeners = []snapshot.Listener{{Socket: 5, PID: 11, Address: netip.MustParseAddrPort("127.0.0.1:8080")}}
	w.pass(time.Second)
	assert.Equal(t, 2, w.the(t).Workers, "a thread with that id waits again, after the end")
}

// TestRecycledWorkersAreForgotten starts and ends 100,000 workers.
func TestRecycledWorkersAreForgotten(t *testing.T) {
	const generations, together, requests = 25_000, 4, 10
	w := newWorld(t, nil)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var before uint64
	for g := range generations {
		clear(w.threads)
		for i := range uint32(together) {
			tid := 1000 + uint32(g*together)%30_000 + i // ids are reused
			w.born(tid, tid, time.Duration(g)*10*time.Millisecond+time.Second)
			for range requests {
				w.pass(100 * time.Microsecond)
				w.Export(w.served(tid, 50*time.Microsecond))
			}
		}
		w.Refresh()
		if g == 1000 {
			before = heap()
		}
	}
	clear(w.threads)
	w.Refresh()
	grown := int64(heap()) - int64(before)
	s := w.the(t)
	const all = generations * together
	assert.Equal(t, []uint64{all * requests, all, all, all}, []uint64{s.Served, s.Starts, s.Exits, s.Recycled})
	assert.Zero(t, s.Workers)
	assert.Equal(t, all*requests*50*time.Microsecond, s.BusyTime)
	assert.Zero(t, s.Untracked)
	assert.Less(t, grown, int64(256<<10))
	assert.Empty(t, w.workers)
}

func TestLimits(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Services, o.Workers = 2, 3 })
	for tid := uint32(10); tid < 20; tid++ {
		w.runs(tid, tid)
		w.Export(w.served(tid, time.Millisecond))
	}
	s := w.the(t)
	assert.Equal(t, []uint64{10, 7}, []uint64{s.Served, s.Untracked})
	assert.Len(t, s.PerWorker, 3)
	for i := range uint32(5) {
		r := w.served(100+i, time.Millisecond)
		r.Service = fmt.Sprint("other ", i)
		w.Export(r)
	}
	assert.Len(t, w.Snapshot(), 2)
	assert.Equal(t, uint64(4), w.Losses()["too_many_services"])
}

func TestExportDoesNotAllocate(t *testing.T) {
	w := newWorld(t, nil)
	r := w.served(10, time.Millisecond)
	w.Export(r)
	for range maxSpans {
		w.Export(r)
	}
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		r.ReadFirst, r.WriteLast = r.WriteLast+1, r.WriteLast+5
		w.Export(r)
	}))
}

func BenchmarkExport(b *testing.B) {
	w := newWorld(b, nil)
	r := w.served(10, time.Millisecond)
	b.ReportAllocs()
	for b.Loop() {
		r.ReadFirst, r.WriteLast = r.WriteLast+1, r.WriteLast+5
		w.Export(r)
	}
}

// TestWhatIsOnItsWay checks that, while the agent ends, the figures are up to a
// moment for which all requests have come. Later requests may not have come yet.
func TestWhatIsOnItsWay(t *testing.T) {
	w := newWorld(t, nil)
	w.runs(10, 10)
	w.Export(w.served(10, 50*time.Millisecond))
	w.pass(time.Second)
	w.Refresh()
	looked := w.now
	age := func() time.Duration { return w.Snapshot()[0].WorkerTime }
	before := age()
	w.Unwatch()
	assert.Equal(t, before, age())
	w.Export(w.served(10, 100*time.Millisecond))
	w.End()
	assert.Equal(t, before+time.Duration(settleAfter), age())
	assert.Equal(t, looked, w.settled(w.now+request.Stamp(time.Minute)), "no more is known than at the last look")
	assert.Equal(t, 150*time.Millisecond, w.Snapshot()[0].BusyTime)
}

// TestDearLooksAreRare has slow looks, because of very many connections. The next
// look waits, and it waits longer if no connection was in use.
func TestDearLooksAreRare(t *testing.T) {
	w := newWorld(t, nil)
	looks := func(every, during time.Duration) int {
		before := w.looks
		for range during / every {
			w.pass(every)
			w.Refresh()
		}
		return w.looks - before
	}
	assert.Equal(t, 20, looks(time.Second, 20*time.Second), "they take next to nothing")
	w.untouched = true
	assert.Equal(t, 20, looks(time.Second, 20*time.Second), "also where nothing happens")

	w.lookTakes = 14 * time.Millisecond
	w.untouched = false
	looks(10*time.Second, 20*time.Second) // their cost is known from the second look on
	assert.InDelta(t, 60/3, looks(time.Second, time.Minute), 3, "200 times as long")
	w.untouched = true
	assert.InDelta(t, 60/10, looks(time.Second, time.Minute), 1, "once in ten seconds")
	w.untouched = false
	w.pass(4 * time.Second)
	assert.Equal(t, 1, looks(time.Millisecond, time.Millisecond), "something happened")
}

package stitch

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/collectors/assemble"
	"lapwing/collectors/request"
	"lapwing/probes/socket/wire"
)

// front is a front end whose steps come in any order that its kind allows. It knows
// for which request each call is. The Stitcher does not.
type front struct {
	kind
	rand *rand.Rand
	kernel
	stitcher *Stitcher
	assemble *assemble.Assembler

	next   uint64 // number of a connection
	todo   []*job // not done yet
	line   []*job // requests that need a call, in order
	free   []*asked
	opened int // connections
	held   []handout
	tick   request.Stamp

	truth map[request.Ref]request.Ref // the request of each call
	right int
	wrong int
	why   string
}

// kind describes how a front end works.
type kind struct {
	threads  string
	width    int // threads
	limit    int // connections; 0 means any number
	kept     bool
	readCall float64 // how often a call starts where the request was read, if possible
	answers  float64 // how often a request is answered where the answer to its call was read
	release  int     // which step follows an answer: 0 any, 1 the next call, 2 the answer and then the next call
	retry    float64
	asks     float64 // another call before the call
	nothing  float64 // requests that need no call
	pieces   float64 // requests and answers in two pieces
	heads    string
	lost     float64
	calm     int // requests that come one at a time, first
	bursts   int
	most     int // requests in a burst
	slow     float64
	gap      request.Stamp
	handover request.Stamp // the maximum delay until a record reaches the agent
}

// job is a request in progress.
type job struct {
	served
	number int
	head   string
	stage  stage
	call   *asked
	again  bool // another call follows
	busy   request.Stamp
	late   bool // the kernel counted requests when it was read
}

type stage int

const (
	unread stage = iota
	unreadBody
	wanting
	connecting
	waiting
	hearing // the rest of an answer
	answering
)

type handout struct {
	at request.Stamp
	do func()
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func kindOf(r *rand.Rand) kind {
	return kind{
		threads:  pick(r, "one", "one", "one", "own", "own", "split", "lent", "swapped", "any"),
		width:    1 + r.IntN(4),
		limit:    pick(r, 0, 1, 1, 2, 3),
		kept:     r.IntN(3) > 0,
		readCall: pick(r, 0, 0.5, 0.9, 1, 1, 1),
		answers:  pick(r, 0, 0.5, 0.9, 1, 1, 1),
		release:  r.IntN(3),
		retry:    pick(r, 0, 0, 0.1, 0.5),
		asks:     pick(r, 0, 0, 0, 0.2, 1),
		nothing:  pick(r, 0, 0, 0.2),
		pieces:   pick(r, 0, 0, 0.3),
		heads:    pick(r, "distinct", "alike", "alike", "bare", "rewritten", "other protocol", "few", "constant"),
		lost:     pick(r, 0, 0, 0, 0.02),
		calm:     pick(r, 0, 0, 5, 30, 60),
		bursts:   1 + r.IntN(12),
		most:     pick(r, 2, 5, 5, 30),
		slow:     pick(r, 0, 0, 0, 0.05),
		gap:      pick(r, ms, 10*ms, 60*ms),
		handover: pick(r, ms, 20*ms, 300*ms),
	}
}

func newFront(seed uint64) *front {
	r := rand.New(rand.NewPCG(seed, 1))
	f := &front{kind: kindOf(r), rand: r, truth: make(map[request.Ref]request.Ref)}
	f.threadsFrom(request.Now())
	f.stitcher = New(Options{Export: f.judge})
	f.assemble = assemble.New(assemble.Options{Call: f.stitcher.Call})
	return f
}

func (f *front) threadsFrom(now request.Stamp) {
	f.kernel = kernel{now: now, threads: make(map[uint32]*thread)}
}

// run plays a quiet period and then bursts.
func (f *front) run() {
	for range f.calm {
		f.arrive(1)
		f.work()
		f.pass(request.Stamp(f.rand.Int64N(int64(f.gap))))
	}
	for range f.bursts {
		f.arrive(2 + f.rand.IntN(f.most-1))
		f.work()
		f.pass(request.Stamp(f.rand.Int64N(int64(f.gap))))
	}
	for _, c := range f.free {
		f.handOutCall(c, 0)
	}
	f.pass(7 * request.Stamp(time.Second))
	f.stitcher.Flush()
}

func (f *front) arrive(n int) {
	for range n {
		f.next++
		j := &job{number: int(f.next)}
		j.ref = request.Ref{Conn: f.next, Seq: 1}
		j.head = f.headOf(j.number)
		f.todo = append(f.todo, j)
	}
}

func (f *front) headOf(n int) string {
	switch f.heads {
	case "alike":
		n = 0
	case "few":
		n = f.rand.IntN(3)
	case "constant": // all paths become one that some clients request themselves
		n *= f.rand.IntN(3)
	}
	return fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: site\r\nUser-Agent: test\r\nX-Pad: pad\r\n\r\n", n)
}

// passedOn returns the head of a call.
func (f *front) passedOn(j *job, first bool) string {
	switch {
	case f.heads == "other protocol":
		return "\x01\x02\x03 not HTTP"
	case first: // it asks for permission
		return "GET /gate HTTP/1.1\r\nHost: gate\r\n\r\n"
	case f.heads == "bare":
		return fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: back\r\n\r\n", j.number)
	case f.heads == "rewritten":
		return fmt.Sprintf("GET /app/%d HTTP/1.1\r\nHost: back\r\nUser-Agent: test\r\nX-Pad: pad\r\n\r\n", j.number)
	case f.heads == "constant":
		return fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: back\r\nUser-Agent: test\r\nX-Pad: pad\r\n\r\n", 0)
	}
	return j.head
}

// work takes steps until nothing is left to do.
func (f *front) work() {
	for len(f.todo) > 0 {
		var can []*job
		for _, j := range f.todo {
			if f.may(j) {
				can = append(can, j)
			}
		}
		f.pass(request.Stamp(1000 + f.rand.Int64N(int64(ms))))
		if len(can) == 0 {
			continue
		}
		j := can[f.rand.IntN(len(can))]
		f.wake(j)
		f.step(j)
	}
}

// wake lets the threads sleep before about half of the steps.
func (f *front) wake(j *job) {
	if f.rand.IntN(2) == 0 {
		for _, t := range f.kernel.threads {
			t.sleeps++
		}
	}
}

func (f *front) may(j *job) bool {
	if j.busy > f.now {
		return false
	}
	return j.stage != wanting || len(f.line) > 0 && f.line[0] == j && f.hasRoom()
}

func (f *front) hasRoom() bool { return len(f.free) > 0 || f.limit == 0 || f.opened < f.limit }

// threadOf returns the thread that takes the next step of a job.
func (f *front) threadOf(j *job) uint32 {
	own, other := uint32(1+j.number%f.width), uint32(10+j.number%f.width)
	calls := j.stage == wanting || j.stage == connecting || j.stage == waiting || j.stage == hearing
	switch f.kind.threads {
	case "own":
		return own
	case "split": // reading threads and answering threads
		if j.stage <= unreadBody {
			return 1
		}
		return other
	case "lent": // other threads make the calls
		if calls {
			return other
		}
		return own
	case "swapped": // other reading threads make the calls
		if calls {
			return uint32(1 + (j.number+1)%f.width)
		}
		return own
	case "any":
		return uint32(1 + f.rand.IntN(f.width))
	}
	return 1
}

func (f *front) chance(p float64) bool { return f.rand.Float64() < p }

func (f *front) step(j *job) {
	f.now += 1000
	tid := f.threadOf(j)
	switch j.stage {
	case unread, unreadBody:
		j.late = f.counts()
		f.kernel.read(&j.served, tid)
		if j.stage == unread && f.chance(f.pieces) {
			j.stage = unreadBody
			return
		}
		f.wasRead(j)
	case wanting:
		f.call(j, tid)
	case connecting:
		f.ask(j, tid)
	case waiting, hearing:
		f.kernel.hear(j.call, tid)
		if j.stage == waiting && f.chance(f.pieces) {
			j.stage = hearing
			return
		}
		f.heard(j, tid)
	case answering:
		f.answered(j, tid)
	}
}

func (f *front) wasRead(j *job) {
	if f.chance(f.nothing) {
		j.stage = answering
		return
	}
	j.stage, j.again = wanting, f.chance(f.asks)
	f.line = append(f.line, j)
	if f.chance(f.readCall) && f.may(j) {
		f.step(j)
	}
}

// call starts a call for which there is a connection, or room for one.
func (f *front) call(j *job, tid uint32) {
	f.line = f.line[1:]
	if n := len(f.free); n > 0 {
		j.call, f.free = f.free[n-1], f.free[:n-1]
		f.handOutCall(j.call, 0)
		f.kernel.begin(j.call, tid)
		f.ask(j, tid)
		return
	}
	f.next++
	f.opened++
	j.call, j.stage = new(asked), connecting
	j.call.rec.Conn = f.next
	f.kernel.connect(j.call, tid)
	j.call.rec.Established = uint64(f.now)
	if f.rand.IntN(3) == 0 {
		f.ask(j, tid)
	}
}

func (f *front) ask(j *job, tid uint32) {
	j.call.http = f.passedOn(j, j.again)
	f.kernel.write(j.call, tid)
	f.truth[j.call.ref()] = j.ref
	j.stage = waiting
	j.busy = f.now + request.Stamp(f.rand.Int64N(int64(6*ms)))
	if !slices.ContainsFunc(f.todo, func(j *job) bool { return !j.late }) && f.chance(f.slow) {
		j.busy += request.Stamp(f.rand.Int64N(int64(3 * time.Second)))
	}
}

// heard handles the end of a job's call.
func (f *front) heard(j *job, tid uint32) {
	c := j.call
	if f.kept {
		f.free = append(f.free, c)
		f.handOutCall(c, 500*ms)
	} else {
		f.opened--
		c.rec.Closed = uint64(f.now)
		f.handOutCall(c, 0)
	}
	j.call = nil
	if j.again || f.chance(f.retry) {
		j.stage, j.again = wanting, false
		f.line = append(f.line, j)
		if f.chance(f.answers) && f.may(j) {
			f.step(j)
		}
		return
	}
	j.stage = answering
	if f.release == 1 {
		f.nextCall()
	}
	if f.chance(f.answers) {
		f.step(j)
	}
	if f.release == 2 {
		f.nextCall()
	}
}

func (f *front) nextCall() {
	if len(f.line) > 0 && f.may(f.line[0]) {
		f.step(f.line[0])
	}
}

func (f *front) answered(j *job, tid uint32) {
	f.kernel.answer(&j.served, tid)
	for i := range f.todo {
		if f.todo[i] == j {
			f.todo = append(f.todo[:i:i], f.todo[i+1:]...)
			break
		}
	}
	if f.loses() {
		return
	}
	r := &request.Request{
		Conn: j.ref.Conn, Seq: 1, PID: 1, TID: j.tid, WriterTID: j.writer,
		Stamps: request.Stamps{
			Arrived: j.readFirst, ReadFirst: j.readFirst, ReadLast: j.readLast,
			WriteFirst: j.writeFirst, WriteLast: j.writeLast,
		},
		Links: request.Links{Calls: j.calls, Cause: j.cause, Clue: request.NewClue([]byte(j.head))},
	}
	r.Peer.Addr = netip.MustParseAddrPort("127.0.0.1:1")
	if !j.calls {
		r.Links.Clue = nil
	}
	f.handOut(func() { f.stitcher.Request(r) }, 0)
}

// counts reports whether the kernel knows how many requests are open. No request
// takes longer than the time before that.
func (f *front) counts() bool { return f.since.Seen() && f.now > f.since+settled }

func (f *front) loses() bool { return f.counts() && f.chance(f.lost) }

// handOutCall reports a call at the given time at the latest.
func (f *front) handOutCall(c *asked, latest request.Stamp) {
	if c.fresh || f.loses() {
		return
	}
	r := c.record()
	f.handOut(func() { f.assemble.HandleRecord(wire.Call, r) }, latest)
}

func (f *front) handOut(do func(), latest request.Stamp) {
	at := f.now + latest + request.Stamp(f.rand.Int64N(int64(f.handover)))
	f.held = append(f.held, handout{at, do})
}

// pass advances the time.
func (f *front) pass(d request.Stamp) {
	for end := f.now + d; f.now < end; {
		step := min(end-f.now, 20*ms)
		f.now += step
		rest := f.held[:0]
		var due []handout
		for _, h := range f.held {
			if h.at <= f.now {
				due = append(due, h)
			} else {
				rest = append(rest, h)
			}
		}
		f.held = rest
		for _, h := range due {
			h.do()
		}
		if f.now >= f.tick {
			f.stitcher.Tick(f.now)
			f.tick = f.now + 50*ms
		}
	}
}

func (f *front) judge(r *request.Request) {
	ref := refOf(r)
	for _, c := range r.Calls {
		of, ok := f.truth[c.Links.ID]
		switch {
		case ok && of == ref:
			f.right++
		default:
			f.wrong++
			if f.why == "" {
				f.why = fmt.Sprintf("request %v got call %v of %v: %+v evidence %b/%b for %v used %v after %v open %d",
					ref, c.Links.ID, of, r.Links, c.Links.Evidence, c.Links.UseEvidence, c.Links.For, c.Links.Used, c.Links.After, c.Links.Open)
			}
		}
	}
}

// TestSchedules has front ends of all kinds whose threads take their steps in any
// order. No call may be joined to a request other than the one that it is for.
func TestSchedules(t *testing.T) {
	first, n := uint64(0), 2000
	if text := os.Getenv("LAPWING_STITCH_SCHEDULES"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		assert.NoError(t, err)
	}
	if text := os.Getenv("LAPWING_STITCH_SCHEDULE"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		assert.NoError(t, err)
		first, n = seed, 1
	}
	right, calls, bad := 0, 0, 0
	for seed := first; seed < first+uint64(n); seed++ {
		f := newFront(seed)
		f.run()
		right, calls = right+f.right, calls+len(f.truth)
		if f.wrong > 0 {
			bad++
			if bad < 5 {
				assert.Zero(t, f.wrong, "wrong in schedule %d, %d right of %d\n%+v\n%s", seed, f.right, len(f.truth), f.kind, f.why)
			}
		}
	}
	t.Logf("%d schedules, %d calls, %d joined, %d schedules with wrong ones", n, calls, right, bad)
}

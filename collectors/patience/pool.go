package patience

import (
	"cmp"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Defaults of Options.
const (
	DefaultPatience = 50 * time.Millisecond
	DefaultAtWork   = 4
	DefaultStuck    = 32
	DefaultPerOwner = 8
)

// The pauses before a process is asked again that answered late, and how many such
// processes are remembered.
const (
	firstPause = time.Second
	longest    = 5 * time.Minute
	maxSilent  = 1024
)

// parts is the number of parts of the patience. A wait ends only after that many
// wake-ups, so that an agent that gets no CPU does not take this for silence.
const parts = 5

// extension limits the wait for a goroutine that does not wait for the process but
// for the CPU, in multiples of the patience.
const extension = 20

// The errors of Ask.
var (
	// ErrSilent says that the process did not answer in time, now or before.
	ErrSilent = errors.New("the process does not answer")
	// ErrBusy says that too many other processes do not answer.
	ErrBusy = errors.New("too many other processes do not answer")
)

// NotAsked reports whether an error of Ask says that there was no answer. It is
// then not known whether the process exists.
func NotAsked(err error) bool { return errors.Is(err, ErrSilent) || errors.Is(err, ErrBusy) }

// NoOwner is the owner of questions that no user can hold up, as far as is known.
const NoOwner = ^uint32(0)

// Options are the parameters of a Pool. The zero Options are valid.
type Options struct {
	Patience time.Duration // how long Ask waits for an answer
	AtWork   int           // how many questions run at the same time
	Stuck    int           // how many goroutines may remain without an answer
	PerOwner int           // the same for one owner
	Log      *slog.Logger  // if nil, nothing is logged
}

// Question describes what is read.
type Question struct {
	PID uint32
	// Start distinguishes processes with the same id, if it is known.
	Start uint64
	// Owner is the user who could hold up the answer.
	Owner uint32
	// What is what is read, for the log: "command line". It must be a constant.
	What string
	// Late, if not nil, is called when an answer came too late.
	Late func()
}

// key identifies a question: the process and what is read.
type key struct {
	pid   uint32
	start uint64
	what  string
}

// silence is the state of a question that was not answered in time.
type silence struct {
	stuck bool // there is still no answer
	pause time.Duration
	until time.Time // when it may be asked again
}

// Counts are the totals of a Pool since it was made.
type Counts struct {
	Late    uint64 // questions that were not answered in time
	Refused uint64 // questions that were not asked because they were not answered before
	Busy    uint64 // questions that were not asked because other processes do not answer
	Stuck   int    // goroutines that wait for a late answer now
}

// Plus returns the sum of the counts of two pools.
func (c Counts) Plus(o Counts) Counts {
	return Counts{Late: c.Late + o.Late, Refused: c.Refused + o.Refused, Busy: c.Busy + o.Busy, Stuck: c.Stuck + o.Stuck}
}

// Pool runs questions with a time limit. All methods are safe for concurrent use.
// With a nil Pool, Ask calls the function directly.
type Pool struct {
	opts   Options
	atWork chan struct{}
	logged atomic.Int64 // time of the latest log line, in nanoseconds

	mu      sync.Mutex
	silent  *simplelru.LRU[key, *silence]
	stuckBy map[uint32]int // by owner
	counts  Counts
}

// New returns a pool.
func New(o Options) *Pool {
	o.Patience = cmp.Or(o.Patience, DefaultPatience)
	o.AtWork = cmp.Or(o.AtWork, DefaultAtWork)
	o.Stuck = cmp.Or(o.Stuck, DefaultStuck)
	o.PerOwner = cmp.Or(o.PerOwner, DefaultPerOwner)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	silent, _ := simplelru.NewLRU[key, *silence](maxSilent, nil) // fails only for sizes below one
	return &Pool{opts: o, atWork: make(chan struct{}, o.AtWork), silent: silent, stuckBy: map[uint32]int{}}
}

// Counts returns how often there was no answer.
func (p *Pool) Counts() Counts {
	if p == nil {
		return Counts{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

// answer is the result of a question.
type answer[T any] struct {
	value T
	err   error
}

// Ask runs f in a goroutine of the pool and returns its result. If that takes too
// long, the error is ErrSilent, and f continues to run. So f must not touch data
// that others use.
func Ask[T any](p *Pool, q Question, f func() (T, error)) (T, error) {
	if p == nil {
		return f()
	}
	var none T
	if err := p.admit(q); err != nil {
		return none, err
	}
	if !p.begin() {
		return none, ErrBusy
	}
	got := make(chan answer[T], 1)
	job := &job{pool: p, question: q}
	go func() {
		var a answer[T]
		job.onThread(func() { a.value, a.err = f() })
		got <- a
		job.returned()
	}()
	return await(job, got)
}

func await[T any](j *job, got chan answer[T]) (T, error) {
	tick := time.NewTicker(j.pool.opts.Patience / parts)
	defer tick.Stop()
	for n := 1; n < parts || n < parts*extension && !j.waits(); n++ {
		select {
		case a := <-got:
			return a.value, a.err
		case <-tick.C:
		}
	}
	if gone, isNew := j.givenUp(); gone {
		j.log(isNew)
		var none T
		return none, ErrSilent
	}
	a := <-got // it answered at the last moment
	return a.value, a.err
}

// admit refuses a question that is known not to be answered, and a question whose
// owner already holds up too many goroutines.
func (p *Pool) admit(q Question) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.silent.Get(q.key()); ok && (s.stuck || time.Now().Before(s.until)) {
		p.counts.Refused++
		return ErrSilent
	}
	if p.stuckBy[q.Owner] >= p.opts.PerOwner || p.counts.Stuck >= p.opts.Stuck && q.Owner != NoOwner {
		p.counts.Busy++
		return ErrBusy
	}
	return nil
}

// begin waits until fewer questions run than the limit.
func (p *Pool) begin() bool {
	select {
	case p.atWork <- struct{}{}:
		return true
	default:
	}
	tick := time.NewTicker(p.opts.Patience / parts)
	defer tick.Stop()
	for range parts * extension {
		select {
		case p.atWork <- struct{}{}:
			return true
		case <-tick.C:
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Busy++
	return false
}

func (q Question) key() key { return key{q.PID, q.Start, q.What} }

// job is one question that was asked.
type job struct {
	pool     *Pool
	question Question
	thread   atomic.Int32 // thread id that runs it; 0 before that
	done     bool         // done and stuck are guarded by the pool's lock
	stuck    bool
}

// givenUp notes that Ask no longer waits for the answer. gone is false if the
// answer has come. The goroutine no longer counts as running, so others can be
// asked. isNew says that the process was not known to be silent.
func (j *job) givenUp() (gone, isNew bool) {
	p, q := j.pool, j.question
	p.mu.Lock()
	defer p.mu.Unlock()
	if j.done {
		return false, false
	}
	j.stuck = true
	<-p.atWork
	p.counts.Late++
	p.counts.Stuck++
	p.stuckBy[q.Owner]++
	s, known := p.silent.Get(q.key())
	if !known {
		s = &silence{}
		p.silent.Add(q.key(), s)
	}
	s.stuck = true
	return true, !known
}

// log logs a process that does not answer, at most one per second, because a user
// can have any number of them. The caller must not hold the pool's lock.
func (j *job) log(isNew bool) {
	p, q := j.pool, j.question
	now := time.Now().UnixNano()
	last := p.logged.Load()
	if !isNew || now-last < int64(time.Second) || !p.logged.CompareAndSwap(last, now) {
		return
	}
	p.opts.Log.Warn("a process does not answer: it is left alone", "pid", q.PID, "asked_for", q.What, "uid", q.Owner)
}

// returned notes that a question was answered, in time or late. After its first
// late answer a process may be asked again immediately, because what held it up is
// over.
func (j *job) returned() {
	p, q := j.pool, j.question
	p.mu.Lock()
	j.done = true
	if !j.stuck {
		<-p.atWork
		p.silent.Remove(q.key())
		p.mu.Unlock()
		return
	}
	p.counts.Stuck--
	if p.stuckBy[q.Owner]--; p.stuckBy[q.Owner] == 0 {
		delete(p.stuckBy, q.Owner)
	}
	if s, ok := p.silent.Get(q.key()); ok {
		s.stuck = false
		s.until = time.Now().Add(s.pause)
		s.pause = min(max(2*s.pause, firstPause), longest)
	}
	p.mu.Unlock()
	if q.Late != nil {
		q.Late()
	}
}

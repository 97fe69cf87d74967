package uprobe

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/procfs"

	"lapwing/probes/foreign"
	"lapwing/probes/foreign/elffile"
)

// Kernel attaches programs to a function.
type Kernel interface {
	// Attach attaches what there is for a function, whose code is at an offset in a
	// file. It is removed when the Closer is closed.
	Attach(path string, offset uint64, f Function) (io.Closer, error)
}

// errCostly refuses a function whose code has no place for a cheap probe.
var errCostly = errors.New("a probe would cost more than 2 µs there")

// Options are the settings of a Watcher.
type Options struct {
	Kernel    Kernel
	Functions []Function
	Log       *slog.Logger
	// OnSearched, if set, is called when the running processes have been searched.
	OnSearched func(files, probes int)
}

// The limits of what a Watcher keeps and does.
const (
	scanEvery     = 5 * time.Second
	maxServed     = 1 << 12 // processes whose requests were seen
	maxLooks      = 3       // at the files of one process
	maxKnown      = 1 << 13 // processes of programs of the table
	knownPerUser  = 512
	newPerScan    = 1 << 10
	firstPause    = scanEvery
	longestPause  = 10 * time.Minute
	closeDeadline = 300 * time.Millisecond
)

// Why a Watcher left a process or a file alone, in addition to the reasons of package
// foreign.
const (
	refusedUser      foreign.Reason = "user_share"         // the user's table share is used up
	refusedProgram   foreign.Reason = "program_share"      // the program has used its share
	refusedFull      foreign.Reason = "table_full"         // the table is full
	refusedTime      foreign.Reason = "time_share"         // the user's time share is used up
	refusedProcesses foreign.Reason = "too_many_processes" // of one user, or in all
	refusedKernel    foreign.Reason = "kernel"             // it did not attach the program
)

// Watcher attaches to the functions of programs as they appear. It finds a program by its
// processes: those that run, and those passed to Served. Scan and Run are for one
// goroutine.
type Watcher struct {
	opts   Options
	looker *looker
	log    *slog.Logger

	ask    chan uint32
	served map[uint32]struct{} // belongs to the caller of Served
	known  map[int]*process
	byUser map[uint32]int // known processes
	files  files
	shares shares

	mu      sync.Mutex // guards the fields below
	refused map[string]uint64
}

// process is a process of a program that may have the functions.
type process struct {
	exe  string
	user uint32
	// looks counts how often its files were looked at. A server loads its modules
	// after it started, so one look is not enough.
	looks     int
	next      time.Time // it is left alone until then
	pause     time.Duration
	postponed bool
	files     []*file
}

// NewWatcher returns a watcher.
func NewWatcher(o Options) *Watcher {
	return &Watcher{
		opts:    o,
		looker:  newLooker(o.Functions),
		log:     o.Log,
		ask:     make(chan uint32, 256),
		served:  map[uint32]struct{}{},
		known:   map[int]*process{},
		byUser:  map[uint32]int{},
		files:   files{},
		shares:  shares{},
		refused: map[string]uint64{},
	}
}

// ReadBy sets who starts the processes that read files. It must be called before Run.
func (w *Watcher) ReadBy(start foreign.Starter) { w.looker.reader.Start = start }

// Served notes a process that served a request. It is for one goroutine, and never waits.
// It does nothing on a nil Watcher.
func (w *Watcher) Served(pid uint32) {
	if w == nil {
		return
	}
	if _, ok := w.served[pid]; ok {
		return
	}
	select {
	case w.ask <- pid:
	default:
		return // its next request asks again
	}
	if len(w.served) >= maxServed {
		clear(w.served)
	}
	w.served[pid] = struct{}{}
}

// Refused returns what was left alone, counted by reason: a process, a file, or one
// attempt at it. It is safe for concurrent use. A nil Watcher has refused nothing.
func (w *Watcher) Refused() map[string]uint64 {
	counts := map[string]uint64{}
	if w == nil {
		return counts
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for reason, n := range w.refused {
		counts[reason] = n
	}
	return counts
}

// refuse counts something that was left alone. It is not a refusal if a process ended.
func (w *Watcher) refuse(reason foreign.Reason, message string, attrs ...any) {
	if reason == foreign.Gone {
		return
	}
	w.mu.Lock()
	w.refused[string(reason)]++
	w.mu.Unlock()
	w.log.Debug(message, append(attrs, "reason", reason)...)
}

// Run attaches to what runs and what appears until ctx ends. Then it removes all probes.
// It never waits for a process that does not answer.
func (w *Watcher) Run(ctx context.Context) error {
	w.Scan(ctx)
	if w.opts.OnSearched != nil {
		w.opts.OnSearched(len(w.files), w.probes())
	}
	tick := time.NewTicker(scanEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return w.Close()
		case pid := <-w.ask:
			w.process(ctx, int(pid), maxLooks)
		case <-tick.C:
			w.Scan(ctx)
		}
	}
}

func (w *Watcher) probes() int {
	n := 0
	for _, f := range w.files {
		n += len(f.probes)
	}
	return n
}

// Close removes all probes. The kernel takes some time for each, and may wait for a
// process. Probes that are not removed soon are removed when the agent's process ends.
func (w *Watcher) Close() error {
	ended := make(chan error, len(w.files))
	for id, f := range w.files {
		go func() { ended <- f.close() }()
		delete(w.files, id)
	}
	limit := time.NewTimer(closeDeadline)
	defer limit.Stop()
	var errs []error
	for range cap(ended) {
		select {
		case err := <-ended:
			errs = append(errs, err)
		case <-limit.C:
			return errors.Join(append(errs, errors.New("some are still being removed"))...)
		}
	}
	return errors.Join(errs...)
}

// Scan looks at all processes.
func (w *Watcher) Scan(ctx context.Context) {
	all, err := procfs.AllProcs()
	if err != nil {
		w.log.Warn("processes cannot be listed: functions of new ones are not found", "error", err)
		return
	}
	// The start varies, so that a user with many processes is not always first.
	rand.Shuffle(len(all), all.Swap)
	alive := make(map[int]bool, len(all))
	fresh := newPerScan
	for _, p := range all {
		alive[p.PID] = true
	}
	for pid := range w.known {
		if !alive[pid] {
			w.forget(pid)
		}
	}
	for _, p := range all {
		if ctx.Err() != nil {
			return
		}
		if w.known[p.PID] == nil && fresh == 0 {
			continue
		}
		if w.process(ctx, p.PID, maxLooks-1) {
			fresh--
		}
	}
	w.shares.tidy(time.Now())
}

// process looks at a process, unless it was looked at often enough. It reports whether
// the process is new and of a program that may have the functions.
func (w *Watcher) process(ctx context.Context, pid, looks int) (fresh bool) {
	exe := foreign.Program(pid)
	p := w.known[pid]
	if p != nil && p.exe != exe { // it became another program, or another process
		w.forget(pid)
		p = nil
	}
	if exe == "" || !knows(w.looker.functions, exe) {
		return false
	}
	if p == nil {
		fresh = true
		if p = w.meet(pid, exe); p == nil {
			return fresh
		}
	}
	now := time.Now()
	if p.looks >= looks || now.Before(p.next) || !w.inShare(pid, p, now) {
		return fresh
	}
	err := w.look(ctx, pid, p)
	w.shares.spend(p.user, time.Since(now), now)
	if err != nil {
		p.pause = min(longestPause, max(firstPause, 2*p.pause))
		p.next = time.Now().Add(p.pause)
		return fresh
	}
	p.looks++
	return fresh
}

// meet adds a process to the table of known processes.
func (w *Watcher) meet(pid int, exe string) *process {
	user, err := foreign.User(pid)
	if err != nil {
		return nil // it is gone
	}
	if len(w.known) >= maxKnown || w.byUser[user] >= knownPerUser {
		w.refuse(refusedProcesses, "too many processes of servers", "pid", pid, "exe", exe, "user", user)
		return nil
	}
	p := &process{exe: exe, user: user}
	w.known[pid] = p
	w.byUser[user]++
	return p
}

// inShare reports whether the user's share of time allows another look.
func (w *Watcher) inShare(pid int, p *process, now time.Time) bool {
	if w.shares.has(p.user, now) {
		return true
	}
	if !p.postponed {
		p.postponed = true
		w.refuse(refusedTime, "a process is looked at later", "pid", pid, "exe", p.exe, "user", p.user)
	}
	return false
}

// look attaches to the files of a process that were not looked into yet. After an error
// it is worth another try some time later.
func (w *Watcher) look(ctx context.Context, pid int, p *process) error {
	found, err := w.looker.candidates(ctx, pid, p.exe, p.user)
	if err != nil && ctx.Err() == nil {
		w.refuse(foreign.ReasonOf(err), "the files of a process cannot be listed", "pid", pid, "exe", p.exe, "error", err)
	}
	for _, c := range found {
		if ctx.Err() != nil {
			break
		}
		if failed := w.use(ctx, pid, p, c); failed != nil {
			err = failed
			w.refuse(foreign.ReasonOf(failed), "no probes in a file", "pid", pid, "file", c.Path, "error", failed)
		}
	}
	if foreign.OfFile(err) {
		return nil // the result would be the same
	}
	return err
}

// use looks into a file unless that was done before.
func (w *Watcher) use(ctx context.Context, pid int, p *process, c candidate) error {
	if known := w.files[c.ID]; known != nil {
		known.use(p)
		return nil
	}
	out, why := w.files.room(p)
	if why != "" {
		return &foreign.Refusal{Reason: why}
	}
	f, err := w.looker.open(ctx, pid, p.exe, p.user, c)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	spots, err := w.looker.spots(ctx, f, c)
	if err != nil && !foreign.OfFile(err) {
		return err
	}
	if out != nil {
		w.refuse(refusedFull, "a file makes room for one of another user", "program", out.program, "user", out.by)
		w.drop(out)
	}
	added := newFile(c.ID, p)
	w.files[c.ID] = added // also if it holds none, so that it is read once
	added.use(p)
	w.attachAll(ctx, f, c, spots, added)
	return err
}

// attachAll attaches to the functions that were found in a file.
func (w *Watcher) attachAll(ctx context.Context, f *foreign.File, c candidate, spots map[string]elffile.Spot, to *file) {
	for _, fn := range c.functions {
		spot, ok := spots[fn.Symbol]
		if !ok {
			continue
		}
		if !spot.Cheap && !fn.Anywhere {
			w.log.Debug("no probe", "file", c.Path, "symbol", fn.Symbol, "error", errCostly)
			continue
		}
		attached, err := w.attach(ctx, f, spot, fn, to.by)
		if err != nil {
			w.refuse(refusedKernel, "no probe", "file", c.Path, "symbol", fn.Symbol, "error", err)
			continue
		}
		to.probes = append(to.probes, attached)
		w.log.Debug("probe attached", "of", fn.Of, "file", c.Path, "symbol", fn.Symbol)
	}
}

// attach asks the kernel, which waits for the processes that run the file.
func (w *Watcher) attach(ctx context.Context, f *foreign.File, spot elffile.Spot, fn Function, user uint32) (io.Closer, error) {
	place, err := f.Dup()
	if err != nil {
		return nil, err
	}
	attached, err := within(ctx, w.looker.pool, user, attachDeadline, func() (io.Closer, error) {
		defer func() { _ = place.Close() }()
		return w.opts.Kernel.Attach(place.Handle(), spot.Offset, fn)
	})
	if foreign.ReasonOf(err) == foreign.Busy { // it was never asked
		_ = place.Close()
	}
	return attached, err
}

// forget drops a process, and the probes of files that no other process uses.
func (w *Watcher) forget(pid int) {
	p := w.known[pid]
	for _, f := range p.files {
		if f.leave(p.user) && w.files[f.id] == f {
			w.drop(f)
		}
	}
	if w.byUser[p.user]--; w.byUser[p.user] == 0 {
		delete(w.byUser, p.user)
	}
	delete(w.known, pid)
}

// drop removes a file from the table. Its probes are removed in the background.
func (w *Watcher) drop(f *file) {
	delete(w.files, f.id)
	go func() {
		if err := f.close(); err != nil {
			w.log.Debug("a probe cannot be removed", "error", err)
		}
	}()
}

package marker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/prometheus/procfs"
)

// Kernel attaches the program that notes a call into the application.
type Kernel interface {
	// Mark attaches it to the code at an offset into a file. The mark is
	// removed when it is closed.
	Mark(path string, offset uint64, rank uint8) (io.Closer, error)
}

// errCostly refuses a function whose code has no place for a cheap probe.
var errCostly = errors.New("a probe would cost more than 2 µs there; --markers=on attaches it all the same")

// The limits of what a Watcher keeps.
const (
	scanEvery = 5 * time.Second
	maxFiles  = 256     // files that were looked into
	maxServed = 1 << 12 // processes whose requests were seen
	maxLooks  = 3       // at the files of one process
)

// Watcher marks the programs of the table as they appear. A program is found
// by its processes: those that run when Scan is called, and those that Served
// names. Scan and Run are for one goroutine.
type Watcher struct {
	kernel  Kernel
	mode    Mode
	markers []Marker
	log     *slog.Logger

	ask    chan uint32
	served map[uint32]struct{} // belongs to the caller of Served
	known  map[int]*process
	files  map[fileID]*marked
}

// process is a process of a program of the table.
type process struct {
	exe string
	// looks counts how often its files were looked at. A server loads its
	// modules after it started: one look is too few.
	looks int
	files []fileID
}

// marked is a file that was looked into.
type marked struct {
	marks []io.Closer
	users int // processes
}

// NewWatcher returns a watcher for the markers of a mode.
func NewWatcher(kernel Kernel, mode Mode, log *slog.Logger) *Watcher {
	return &Watcher{
		kernel:  kernel,
		mode:    mode,
		markers: mode.markers(),
		log:     log,
		ask:     make(chan uint32, 256),
		served:  map[uint32]struct{}{},
		known:   map[int]*process{},
		files:   map[fileID]*marked{},
	}
}

// Served tells of a process that served a request. It is for one goroutine,
// and never waits. A nil Watcher takes no interest.
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

// Run marks what appears until ctx ends, and then removes all marks.
func (w *Watcher) Run(ctx context.Context) error {
	tick := time.NewTicker(scanEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return w.Close()
		case pid := <-w.ask:
			w.process(int(pid), maxLooks)
		case <-tick.C:
			w.Scan()
		}
	}
}

// Close removes all marks.
func (w *Watcher) Close() error {
	var errs []error
	for id, f := range w.files {
		errs = append(errs, f.close())
		delete(w.files, id)
	}
	return errors.Join(errs...)
}

// Scan looks at all processes.
func (w *Watcher) Scan() {
	all, err := procfs.AllProcs()
	if err != nil {
		w.log.Warn("processes cannot be listed: markers of new servers are not found", "error", err)
		return
	}
	alive := make(map[int]bool, len(all))
	for _, p := range all {
		alive[p.PID] = true
		w.process(p.PID, maxLooks-1)
	}
	for pid := range w.known {
		if !alive[pid] {
			w.forget(pid)
		}
	}
}

// process looks at a process, unless it was looked at often enough.
func (w *Watcher) process(pid, looks int) {
	exe := program(pid)
	p := w.known[pid]
	if p != nil && p.exe != exe { // it became another program, or another process
		w.forget(pid)
		p = nil
	}
	if exe == "" || !knows(w.markers, exe) {
		return
	}
	if p == nil {
		p = &process{exe: exe}
		w.known[pid] = p
	}
	if p.looks >= looks {
		return
	}
	p.looks++
	w.look(pid, p)
}

// look marks the files of a process that were not looked into yet.
func (w *Watcher) look(pid int, p *process) {
	files, err := candidates(pid, p.exe, w.markers)
	if err != nil {
		w.log.Debug("the files of a process cannot be listed", "pid", pid, "exe", p.exe, "error", err)
		return
	}
	for _, c := range files {
		id, err := w.use(c)
		if err != nil {
			w.log.Debug("no markers in a file", "pid", pid, "file", c.path, "error", err)
			continue
		}
		if !slices.Contains(p.files, id) {
			p.files = append(p.files, id)
			w.files[id].users++
		}
	}
}

// use looks into a file if nobody did before.
func (w *Watcher) use(c candidate) (fileID, error) {
	f, id, err := c.open()
	if err != nil {
		return id, err
	}
	defer func() { _ = f.Close() }()
	if w.files[id] != nil {
		return id, nil
	}
	if len(w.files) >= maxFiles {
		return id, errors.New("too many files are marked")
	}
	marks := &marked{}
	w.files[id] = marks // also if it holds none, so that it is read once
	for _, m := range c.markers {
		if err := w.mark(f, m, marks); err != nil {
			w.log.Debug("no marker", "file", c.path, "symbol", m.Symbol, "error", err)
			continue
		}
		w.log.Debug("marker attached", "server", m.Server, "file", c.path, "symbol", m.Symbol)
	}
	return id, nil
}

// mark attaches to one function of a file.
func (w *Watcher) mark(f *os.File, m Marker, to *marked) error {
	img, err := openImage(f)
	if err != nil {
		return err
	}
	at, err := img.function(m.Symbol)
	if err != nil {
		return err
	}
	if !at.cheap && w.mode != On {
		return errCostly
	}
	mark, err := w.kernel.Mark(handle(f), at.offset, m.Rank)
	if err != nil {
		return err
	}
	to.marks = append(to.marks, mark)
	return nil
}

// forget drops a process, and the marks of files that nobody else uses.
func (w *Watcher) forget(pid int) {
	for _, id := range w.known[pid].files {
		f := w.files[id]
		if f.users--; f.users > 0 {
			continue
		}
		if err := f.close(); err != nil {
			w.log.Debug("a marker cannot be removed", "error", err)
		}
		delete(w.files, id)
	}
	delete(w.known, pid)
}

func (m *marked) close() error {
	var errs []error
	for _, mark := range m.marks {
		errs = append(errs, mark.Close())
	}
	m.marks = nil
	return errors.Join(errs...)
}

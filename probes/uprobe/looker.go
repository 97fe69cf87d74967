package uprobe

import (
	"context"
	"io"
	"time"

	"lapwing/probes/foreign"
	"lapwing/probes/foreign/elffile"
)

// How long to wait for a process, a reader of a file and the kernel. What does not answer
// in time is left alone for a while.
const (
	mapsDeadline   = 500 * time.Millisecond
	readDeadline   = 3 * time.Second
	attachDeadline = 2 * time.Second
)

// MaxReaders is how many processes read files at a time, including those that hang.
const MaxReaders = 4

// looker looks at processes and files of other users. That may have to wait for them, but
// not longer than the deadlines.
type looker struct {
	pool      *foreign.Pool
	reader    *foreign.Reader
	functions []Function
}

// startReaders starts the processes that read; see the tests under the race detector.
var startReaders = func() foreign.Starter { return (&foreign.Processes{Max: MaxReaders}).Start }

func newLooker(functions []Function) *looker {
	return &looker{
		pool:      &foreign.Pool{Max: 16, PerUser: 4},
		reader:    &foreign.Reader{Start: startReaders(), Deadline: readDeadline},
		functions: functions,
	}
}

// candidates lists the files of a process that may hold one of the functions.
func (l *looker) candidates(ctx context.Context, pid int, exe string, user uint32) ([]candidate, error) {
	return within(ctx, l.pool, user, mapsDeadline, func() ([]candidate, error) {
		return candidates(pid, exe, l.functions)
	})
}

// open goes to a file of a process.
func (l *looker) open(ctx context.Context, pid int, exe string, user uint32, c candidate) (*foreign.File, error) {
	return within(ctx, l.pool, user, mapsDeadline, func() (*foreign.File, error) {
		return foreign.Open(pid, exe, c.Mapping)
	})
}

// spots lets a reader read a file.
func (l *looker) spots(ctx context.Context, f *foreign.File, c candidate) (map[string]elffile.Spot, error) {
	return l.reader.Functions(ctx, f, c.Mapping, c.symbols())
}

// within runs f in the pool. A result that comes too late is discarded.
func within[T any](ctx context.Context, pool *foreign.Pool, user uint32, deadline time.Duration, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	ended := make(chan result, 1)
	err := pool.Do(ctx, user, deadline, func() {
		value, err := f()
		ended <- result{value, err}
	})
	if err != nil {
		if foreign.ReasonOf(err) != foreign.Busy {
			go func() { discard((<-ended).value) }()
		}
		var none T
		return none, err
	}
	r := <-ended
	return r.value, r.err
}

func discard(late any) {
	if c, ok := late.(io.Closer); ok && c != nil {
		_ = c.Close()
	}
}

package truth

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"lapwing/cmd/refserver/clock"
)

// flushEvery is the longest time until a record is in the file.
const flushEvery = 50 * time.Millisecond

// Create creates the truth file, or empties it. The server calls it once,
// before its processes append to the file.
func Create(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create the truth file (--truth): %w", err)
	}
	return f.Close()
}

// Writer writes the records of one process to the truth file, in batches and on
// a thread of its own.
type Writer struct {
	arch string
	file *os.File

	mu     sync.Mutex // guards the fields below; never taken by a serving thread
	logs   []*Log
	buf    []byte
	err    error
	closed bool
}

// Open returns the writer of this process, or nil if path is empty. A nil
// Writer records nothing.
func Open(path, arch string) (*Writer, error) {
	if path == "" {
		return nil, nil
	}
	// O_APPEND keeps batches of whole lines from several processes apart.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, fmt.Errorf("open the truth file (--truth): %w", err)
	}
	w := &Writer{arch: arch, file: f}
	go w.run()
	return w, nil
}

// NewLog returns the log of one more serving thread.
func (w *Writer) NewLog() *Log {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &Log{ring: make([]Record, capacity)}
	w.logs = append(w.logs, l)
	return l
}

// Close writes what is left. It returns an error if records could not be kept
// or written, because the truth is incomplete then.
func (w *Writer) Close() error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return w.err
	}
	w.flush()
	w.closed = true
	w.err = errors.Join(w.err, w.file.Close(), w.dropped())
	return w.err
}

func (w *Writer) dropped() error {
	var n uint64
	for _, l := range w.logs {
		n += l.dropped.Load()
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d records were dropped: the disk of the truth file is too slow", n)
}

// run flushes periodically. It sleeps in the kernel: a Go timer would wake
// several threads of the runtime each time, next to the thread that serves.
func (w *Writer) run() {
	for {
		clock.Sleep(flushEvery)
		w.mu.Lock()
		if w.closed {
			w.mu.Unlock()
			return
		}
		w.flush()
		w.mu.Unlock()
	}
}

// flush writes the records of all logs. The caller holds mu.
func (w *Writer) flush() {
	pid := os.Getpid()
	w.buf = w.buf[:0]
	for _, l := range w.logs {
		l.drain(func(r *Record) { w.buf = r.appendJSON(w.buf, w.arch, pid) })
	}
	if len(w.buf) == 0 {
		return
	}
	if _, err := w.file.Write(w.buf); err != nil && w.err == nil {
		w.err = fmt.Errorf("write the truth file: %w", err)
	}
}

package peer

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// board is a page of memory that all processes of a run share. It has one futex
// word per event, which is zero until the event happened.
type board struct {
	file  *os.File
	words []byte
}

const boardBytes = MaxEvents * 4

// The kernel's operations on a futex word, from linux/futex.h.
const (
	futexWait = 0
	futexWake = 1
)

func newBoard() (*board, error) {
	fd, err := unix.MemfdCreate("events", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memory for the event board: %w", err)
	}
	file := os.NewFile(uintptr(fd), "events")
	if err := file.Truncate(boardBytes); err != nil {
		return nil, fmt.Errorf("size of the event board: %w", err)
	}
	return openBoard(file)
}

func openBoard(file *os.File) (*board, error) {
	words, err := unix.Mmap(int(file.Fd()), 0, boardBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the event board: %w", err)
	}
	return &board{file: file, words: words}, nil
}

func (b *board) close() error {
	if err := unix.Munmap(b.words); err != nil {
		return err
	}
	return b.file.Close()
}

func (b *board) word(e Event) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&b.words[int(e)*4]))
}

// signal makes the event happen and wakes the threads that await it.
func (b *board) signal(e Event) error {
	w := b.word(e)
	w.Store(1)
	return futex(w, futexWake, 1<<30, nil)
}

// await blocks until the event happened or the deadline passed.
func (b *board) await(e Event, timeout time.Duration) error {
	w := b.word(e)
	deadline := time.Now().Add(timeout)
	for w.Load() == 0 {
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("event %d did not happen within %s", e, timeout)
		}
		ts := unix.NsecToTimespec(int64(left))
		err := futex(w, futexWait, 0, &ts)
		if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ETIMEDOUT) {
			return fmt.Errorf("wait for event %d: %w", e, err)
		}
	}
	return nil
}

func futex(w *atomic.Uint32, op int, value uint32, timeout *unix.Timespec) error {
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(w)), uintptr(op),
		uintptr(value), uintptr(unsafe.Pointer(timeout)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Package board is the list of workers that a server shows on /workers. It
// lies in memory that all processes of the server share, so that any worker
// can answer for all of them, and changing it costs no system call.
package board

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/clock"
)

// State is what a worker is doing.
type State uint32

// The states of a worker. Starting is the zero value: the worker has not
// reported yet.
const (
	Starting  State = iota
	Available       // waiting for work
	Busy            // a request is being read, computed or written
	Held            // an idle connection pins the worker
)

var stateNames = [...]string{"starting", "available", "busy", "held"}

func (s State) String() string { return stateNames[s] }

// MarshalText makes the state readable in JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Slot is the shared line of one worker. Only its worker writes to it. A slot
// fills one cache line, so that workers do not slow each other.
type Slot struct {
	pid, tid atomic.Uint32
	state    atomic.Uint32
	_        uint32
	since    atomic.Int64 // CLOCK_MONOTONIC of the current request's first byte
	served   atomic.Uint64
	_        [32]byte
}

// Start enters a new worker of this process and thread id.
func (s *Slot) Start(tid int) {
	s.pid.Store(uint32(os.Getpid()))
	s.tid.Store(uint32(tid))
	s.served.Store(0)
	s.since.Store(0)
	s.state.Store(uint32(Available))
}

// Available says that the worker waits for work.
func (s *Slot) Available() { s.state.Store(uint32(Available)) }

// Held says that an idle connection pins the worker.
func (s *Slot) Held() { s.state.Store(uint32(Held)) }

// Busy says that a request began at since (CLOCK_MONOTONIC nanoseconds).
func (s *Slot) Busy(since int64) {
	s.since.Store(since)
	s.state.Store(uint32(Busy))
}

// Served counts one more request answered.
func (s *Slot) Served() { s.served.Add(1) }

// Clear marks the worker as gone. The master calls it for a worker that died.
func (s *Slot) Clear() { s.state.Store(uint32(Starting)) }

// Worker is one line of the board as others see it.
type Worker struct {
	ID     int     `json:"id"`
	PID    int     `json:"pid"`
	TID    int     `json:"tid"`
	State  State   `json:"state"`
	AgeMS  float64 `json:"age_ms,omitempty"` // of the current request
	Served uint64  `json:"served"`
}

// Board is the list of all workers.
type Board struct {
	file  *os.File
	slots []Slot
}

// New makes a board for n workers that child processes can share.
func New(n int) (*Board, error) {
	fd, err := unix.MemfdCreate("refserver-board", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create the worker board: %w", err)
	}
	file := os.NewFile(uintptr(fd), "board")
	if err := file.Truncate(size(n)); err != nil {
		return nil, fmt.Errorf("size the worker board for %d workers: %w", n, err)
	}
	return Open(file, n)
}

// Open maps the board of n workers that a parent process handed down.
func Open(file *os.File, n int) (*Board, error) {
	mem, err := unix.Mmap(int(file.Fd()), 0, int(size(n)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the worker board: %w", err)
	}
	return &Board{file: file, slots: unsafe.Slice((*Slot)(unsafe.Pointer(&mem[0])), n)}, nil
}

func size(n int) int64 { return int64(n) * int64(unsafe.Sizeof(Slot{})) }

// File is the board's memory, to hand down to a child process.
func (b *Board) File() *os.File { return b.file }

// Slot is the line of the worker with that id; ids begin at 1.
func (b *Board) Slot(id int) *Slot { return &b.slots[id-1] }

// Ready counts the workers that have reported.
func (b *Board) Ready() int {
	n := 0
	for i := range b.slots {
		if State(b.slots[i].state.Load()) != Starting {
			n++
		}
	}
	return n
}

// Workers is a snapshot of all lines. The lines are read one after the other
// while the workers go on.
func (b *Board) Workers() []Worker {
	list := make([]Worker, len(b.slots))
	for i := range b.slots {
		s := &b.slots[i]
		list[i] = Worker{
			ID:     i + 1,
			PID:    int(s.pid.Load()),
			TID:    int(s.tid.Load()),
			State:  State(s.state.Load()),
			Served: s.served.Load(),
		}
		if list[i].State == Busy {
			list[i].AgeMS = float64(max(0, clock.Now()-s.since.Load())) / 1e6
		}
	}
	return list
}

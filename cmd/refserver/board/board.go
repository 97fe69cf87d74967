// Package board is the list of workers that a server shows on /workers. It is
// in memory that all processes of the server share. So any worker can report
// all of them, and a change needs no system call.
package board

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/clock"
)

// State is the activity of a worker.
type State uint32

// The states of a worker. Starting is the zero value: the worker has not
// reported yet.
const (
	Starting  State = iota
	Available       // waiting for work
	Busy            // a request is being read, processed or written
	Held            // an idle connection occupies the worker
)

var stateNames = [...]string{"starting", "available", "busy", "held"}

func (s State) String() string { return stateNames[s] }

// MarshalText makes the state readable in JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Slot is the shared entry of one worker. Only that worker writes to it. A slot
// fills one cache line, so that workers do not slow each other down.
type Slot struct {
	pid, tid atomic.Uint32
	state    atomic.Uint32
	_        uint32
	since    atomic.Int64 // CLOCK_MONOTONIC of the current request's first byte
	served   atomic.Uint64
	_        [32]byte
}

// Start registers a new worker with the id of this process and a thread id.
func (s *Slot) Start(tid int) {
	s.pid.Store(uint32(os.Getpid()))
	s.tid.Store(uint32(tid))
	s.served.Store(0)
	s.since.Store(0)
	s.state.Store(uint32(Available))
}

// Available marks the worker as waiting for work.
func (s *Slot) Available() { s.state.Store(uint32(Available)) }

// Held marks the worker as occupied by an idle connection.
func (s *Slot) Held() { s.state.Store(uint32(Held)) }

// Busy marks that a request started at since (CLOCK_MONOTONIC nanoseconds).
func (s *Slot) Busy(since int64) {
	s.since.Store(since)
	s.state.Store(uint32(Busy))
}

// Served counts one more served request.
func (s *Slot) Served() { s.served.Add(1) }

// Clear marks the worker as gone. The master calls it for a worker that died.
func (s *Slot) Clear() { s.state.Store(uint32(Starting)) }

// Worker is a snapshot of one entry.
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

// New creates a board for n workers that child processes can share.
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

// Open maps the board of n workers that a parent process passed on.
func Open(file *os.File, n int) (*Board, error) {
	mem, err := unix.Mmap(int(file.Fd()), 0, int(size(n)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the worker board: %w", err)
	}
	return &Board{file: file, slots: unsafe.Slice((*Slot)(unsafe.Pointer(&mem[0])), n)}, nil
}

func size(n int) int64 { return int64(n) * int64(unsafe.Sizeof(Slot{})) }

// File returns the memory of the board, for passing it to a child process.
func (b *Board) File() *os.File { return b.file }

// Slot returns the entry of the worker with that id; ids start at 1.
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

// Workers returns a snapshot of all entries. They are read one after the other
// while the workers continue.
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

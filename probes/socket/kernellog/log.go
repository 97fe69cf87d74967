package kernellog

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/bpf"
)

const (
	maxSegment  = int(bpf.SocketPlanLayoutLAYOUT_LOG_SEGMENT)
	slack       = uint32(bpf.SocketPlanLayoutLAYOUT_LOG_SLACK)
	messageLead = uint64(bpf.SocketPlanLayoutLAYOUT_MESSAGE)
	// releaseEvery is how much is read before its room is released: the kernel looks
	// at that position for each message.
	releaseEvery = 64 << 10
)

// MaxMessage is larger than any message.
const MaxMessage = int(slack) - int(messageLead)

// Size is the division of the log into segments.
type Size struct {
	Shift    uint32 // a segment has 1<<shift bytes
	Segments uint32
}

// SizeOf divides bytes, a power of two, into segments.
func SizeOf(bytes int) Size {
	segment := min(bytes, maxSegment)
	return Size{Shift: uint32(bits.TrailingZeros(uint(segment))), Segments: uint32(bytes / segment)}
}

// Stride returns the distance between two segments in memory.
func (s Size) Stride() uint32 { return 1<<s.Shift + slack }

// Reader reads the kernel's log in place. It belongs to one goroutine.
type Reader struct {
	size   Size
	secret uint64
	data   []byte
	state  []byte

	next     uint64 // position of the next message to be read
	released uint64 // all bytes before this position were released to the kernel
	wakeups  *ringbuf.Reader
	wakeup   ringbuf.Record
}

// NewSecret returns the secret that disguises the positions.
func NewSecret() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.NativeEndian.Uint64(b[:])
}

// Open maps the log of a loaded collection into memory.
func Open(coll *ebpf.Collection, size Size, secret uint64) (*Reader, error) {
	l := &Reader{size: size, secret: secret}
	var err error
	if l.data, err = mapMemory(coll.Maps["messages"]); err != nil {
		return nil, err
	}
	if l.state, err = mapMemory(coll.Maps["log_progress"]); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if l.wakeups, err = ringbuf.NewReader(coll.Maps["wakeups"]); err != nil {
		return nil, errors.Join(fmt.Errorf("open the ring buffer that wakes the agent: %w", err), l.Close())
	}
	return l, nil
}

// mapMemory maps an array's values into memory.
func mapMemory(m *ebpf.Map) ([]byte, error) {
	page := os.Getpagesize()
	size := (int(m.ValueSize())*int(m.MaxEntries()) + page - 1) / page * page
	mem, err := unix.Mmap(m.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the log into memory: %w", err)
	}
	return mem, nil
}

// Close unmaps the memory.
func (l *Reader) Close() error {
	var errs []error
	if l.wakeups != nil {
		errs = append(errs, l.wakeups.Close())
	}
	for _, mem := range [][]byte{l.data, l.state} {
		if mem != nil {
			errs = append(errs, unix.Munmap(mem))
		}
	}
	l.data, l.state, l.wakeups = nil, nil, nil
	return errors.Join(errs...)
}

// word returns a field of the log's state.
func (l *Reader) word(offset uintptr) *uint64 {
	return (*uint64)(unsafe.Pointer(&l.state[offset]))
}

// Next returns the next message, or nil if the kernel has written no more. The message is
// valid until the next call.
func (l *Reader) Next() []byte {
	if l.next-l.released >= releaseEvery {
		l.Release()
	}
	segment := l.next >> l.size.Shift & uint64(l.size.Segments-1)
	at := segment*uint64(l.size.Stride()) + l.next&(1<<l.size.Shift-1)
	lead := (*bpf.SocketPlanMessage)(unsafe.Pointer(&l.data[at]))
	if atomic.LoadUint64(&lead.Seal) != l.next^l.secret {
		return nil
	}
	end := messageLead + uint64(lead.Size)
	if end > uint64(slack) { // no message is that long: only a broken kernel side gets here
		return nil
	}
	l.next += (end + 7) &^ 7
	return l.data[at+messageLead : at+end]
}

// Yield lets other threads have the CPU, unless the log fills up: then the agent needs
// its full share of it. The Go runtime need not know of the call, because it does not
// block.
func (l *Reader) Yield() {
	written := atomic.LoadUint64(l.word(unsafe.Offsetof(bpf.SocketPlanProgress{}.Head)))
	if written-l.next < uint64(l.size.Segments)<<l.size.Shift/8 {
		_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
}

// Release releases the room of all messages before the next one.
func (l *Reader) Release() {
	l.released = l.next
	atomic.StoreUint64(l.word(unsafe.Offsetof(bpf.SocketPlanProgress{}.Tail)), l.released)
}

// Await sleeps until the deadline, or until the log fills up.
func (l *Reader) Await(deadline time.Time) error {
	atomic.StoreUint64(l.word(unsafe.Offsetof(bpf.SocketPlanProgress{}.Pinged)), 0)
	l.wakeups.SetDeadline(deadline)
	err := l.wakeups.ReadInto(&l.wakeup)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("wait for records: %w", err)
	}
	return nil
}

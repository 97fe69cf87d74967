package socket

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
)

// The layout of the log, see log.h.
const (
	maxSegment  = 1 << 20
	logSlack    = 12 << 10
	messageLead = 16
	// releaseEvery is how much is read before its room is given back: the
	// kernel looks at the place where that is told for each message.
	releaseEvery = 64 << 10
)

// logSize is the division of the log into segments.
type logSize struct {
	shift    uint32 // 1<<shift bytes are a segment
	segments uint32
}

// sizeOfLog divides bytes, a power of two.
func sizeOfLog(bytes int) logSize {
	segment := min(bytes, maxSegment)
	return logSize{shift: uint32(bits.TrailingZeros(uint(segment))), segments: uint32(bytes / segment)}
}

// stride is the distance of two segments in memory.
func (s logSize) stride() uint32 { return 1<<s.shift + logSlack }

// logReader reads the kernel's log where it lies. It belongs to one goroutine.
type logReader struct {
	size   logSize
	secret uint64
	data   []byte
	state  []byte

	next     uint64 // position of the message to be read next
	released uint64 // all before was given back to the kernel
	wakeups  *ringbuf.Reader
	wakeup   ringbuf.Record
}

// newSecret makes the disguise of the positions.
func newSecret() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.NativeEndian.Uint64(b[:])
}

func openLog(coll *ebpf.Collection, size logSize, secret uint64) (*logReader, error) {
	l := &logReader{size: size, secret: secret}
	var err error
	if l.data, err = mapMemory(coll.Maps["messages"]); err != nil {
		return nil, err
	}
	if l.state, err = mapMemory(coll.Maps["log_progress"]); err != nil {
		return nil, errors.Join(err, l.close())
	}
	if l.wakeups, err = ringbuf.NewReader(coll.Maps["wakeups"]); err != nil {
		return nil, errors.Join(fmt.Errorf("open the ring buffer that wakes the agent: %w", err), l.close())
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

func (l *logReader) close() error {
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

// word is a field of the log's state.
func (l *logReader) word(offset uintptr) *uint64 {
	return (*uint64)(unsafe.Pointer(&l.state[offset]))
}

// read returns the next message, which is valid until the next call, or nil
// when the kernel has written no more.
func (l *logReader) read() []byte {
	if l.next-l.released >= releaseEvery {
		l.release()
	}
	segment := l.next >> l.size.shift & uint64(l.size.segments-1)
	at := segment*uint64(l.size.stride()) + l.next&(1<<l.size.shift-1)
	lead := (*socketPlanMessage)(unsafe.Pointer(&l.data[at]))
	if atomic.LoadUint64(&lead.Seal) != l.next^l.secret {
		return nil
	}
	end := uint64(messageLead) + uint64(lead.Size)
	if end > logSlack { // no message is so long: only a broken kernel side gets here
		return nil
	}
	l.next += (end + 7) &^ 7
	return l.data[at+messageLead : at+end]
}

// yield lets others have the CPU, unless the log fills up: then the agent's
// full share of it is needed. The runtime need not know, there is no waiting.
func (l *logReader) yield() {
	written := atomic.LoadUint64(l.word(unsafe.Offsetof(socketPlanProgress{}.Head)))
	if written-l.next < uint64(l.size.segments)<<l.size.shift/8 {
		_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
}

// release gives the room of all messages before the next one back.
func (l *logReader) release() {
	l.released = l.next
	atomic.StoreUint64(l.word(unsafe.Offsetof(socketPlanProgress{}.Tail)), l.released)
}

// await sleeps until the deadline, or until the log fills up.
func (l *logReader) await(deadline time.Time) error {
	atomic.StoreUint64(l.word(unsafe.Offsetof(socketPlanProgress{}.Pinged)), 0)
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

package socket

import (
	"errors"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// detachers is how many hooks are released at the same time.
const detachers = 16

// detach takes the programs off their hooks, in the order in which they were attached.
// After each one the kernel waits until no processor runs it any more, usually tens of
// milliseconds. The hooks are released concurrently, so that these waits overlap.
func detach(links []link.Link) error {
	errs := make([]error, len(links))
	turns := make(chan struct{}, detachers)
	var all sync.WaitGroup
	for i, l := range links {
		turns <- struct{}{}
		all.Go(func() {
			errs[i] = l.Close()
			<-turns
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// events keeps the perf events of tracepoints until the kernel closes them.
//
// A program on a tracepoint needs a perf event. To remove the last event of a tracepoint,
// the kernel waits for two grace periods of RCU and holds a lock that all tracepoints
// share: 40 ms for each of 25, one after the other, in the process that closes the event.
// The program is off its hook long before that; the event alone does nothing. Therefore a
// map of the kernel holds the events as well. When the map is freed, with the process at
// the latest, a kernel thread closes them.
type events struct {
	held *ebpf.Map // nil: the process that closes an event waits
	n    uint32
}

// newEvents makes room for the events of this many hooks. If the kernel refuses that,
// only the end takes longer.
func newEvents(hooks int) *events {
	// The library creates such maps with one element for each processor.
	attr := struct{ kind, key, value, elements, flags uint32 }{uint32(ebpf.PerfEventArray), 4, 4, uint32(hooks), 0}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return &events{}
	}
	held, err := ebpf.NewMapFromFD(int(fd))
	if err != nil {
		return &events{}
	}
	return &events{held: held}
}

// hold keeps the perf event of a link, if it has one.
func (e *events) hold(l link.Link) {
	event, ok := l.(link.PerfEvent)
	if !ok || e.held == nil {
		return
	}
	file, err := event.PerfEvent()
	if err != nil {
		return
	}
	defer file.Close()
	if e.held.Put(e.n, uint32(file.Fd())) == nil {
		e.n++
	}
}

// Close leaves the events to the kernel.
func (e *events) Close() error {
	if e == nil || e.held == nil {
		return nil
	}
	return e.held.Close()
}

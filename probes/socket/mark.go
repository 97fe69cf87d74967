package socket

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/survey"
)

// ErrNoMarks says that the kernel, or the options, do not let functions of
// programs be marked.
var ErrNoMarks = errors.New("uprobes are not available")

// MarkBy is the way in which programs are attached to functions of programs.
type MarkBy uint8

// The ways. A multi link costs the marked program less and needs no privileges
// (Linux 6.6 and later); a perf event needs CAP_SYS_ADMIN.
const (
	MarkByNothing MarkBy = iota
	MarkByPerfEvent
	MarkByMultiLink
)

// haveMultiLink is nil where the kernel has multi links. Tests replace it.
var haveMultiLink = features.HaveBPFLinkUprobeMulti

// markBy chooses the way and prepares the program for it.
func markBy(prog *ebpf.ProgramSpec) MarkBy {
	if prog == nil {
		return MarkByNothing
	}
	if haveMultiLink() != nil {
		return MarkByPerfEvent
	}
	prog.AttachType = ebpf.AttachTraceUprobeMulti
	return MarkByMultiLink
}

// MarkBy tells how Mark attaches.
func (p *Probe) MarkBy() MarkBy { return p.markBy }

// Mark attaches the program that notes a call into the application to the code
// at an offset into a file, for all processes that run it. Of several marks
// that a request passes that of the highest rank counts. It may be called
// while Run runs, but not once Close was.
func (p *Probe) Mark(path string, offset uint64, rank uint8) (io.Closer, error) {
	prog := p.coll.Programs[survey.MarkProgram]
	if prog == nil {
		return nil, ErrNoMarks
	}
	l, err := p.attachMark(prog, path, offset, rank)
	if err != nil {
		return nil, fmt.Errorf("mark: %w", err)
	}
	// From now on the other programs look for marks.
	if err := p.coll.Variables["markers_attached"].Set(true); err != nil {
		return nil, errors.Join(fmt.Errorf("mark: %w", err), l.Close())
	}
	return l, nil
}

func (p *Probe) attachMark(prog *ebpf.Program, path string, offset uint64, rank uint8) (io.Closer, error) {
	if p.markBy == MarkByPerfEvent && p.openUprobe != nil {
		return p.markThrough(prog, path, offset, rank)
	}
	file, err := link.OpenExecutable(path)
	if err != nil {
		return nil, err
	}
	if p.markBy == MarkByMultiLink {
		return file.UprobeMulti(nil, prog, &link.UprobeMultiOptions{Addresses: []uint64{offset}, Cookies: []uint64{uint64(rank)}})
	}
	return file.Uprobe("", prog, &link.UprobeOptions{Address: offset, Cookie: uint64(rank)})
}

// OpenUprobesBy has others open the perf events by which functions are marked: for a
// process that may not. It is to be called before the first Mark.
func (p *Probe) OpenUprobesBy(open func(file *os.File, offset uint64) (*os.File, error)) {
	p.openUprobe = open
}

// markThrough marks by an event that somebody else opened.
func (p *Probe) markThrough(prog *ebpf.Program, path string, offset uint64, rank uint8) (io.Closer, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open", err)
	}
	file := os.NewFile(uintptr(fd), path)
	defer func() { _ = file.Close() }()
	event, err := p.openUprobe(file, offset)
	if err != nil {
		return nil, err
	}
	l, err := linkToEvent(prog, event, uint64(rank))
	if err != nil {
		return nil, errors.Join(err, event.Close())
	}
	return closers{l, event}, nil
}

// linkToEvent attaches a program to a perf event with a cookie, for which the library
// has no function where the event is there already.
func linkToEvent(prog *ebpf.Program, event *os.File, cookie uint64) (*os.File, error) {
	attr := struct {
		prog, target, kind, flags uint32
		cookie                    uint64
	}{uint32(prog.FD()), uint32(event.Fd()), uint32(ebpf.AttachPerfEvent), 0, cookie}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_LINK_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(prog)
	runtime.KeepAlive(event)
	if errno != 0 {
		return nil, os.NewSyscallError("attach to a uprobe", errno)
	}
	return os.NewFile(fd, "link to a uprobe"), nil
}

// closers are closed in their order.
type closers []io.Closer

func (c closers) Close() error {
	var errs []error
	for _, one := range c {
		errs = append(errs, one.Close())
	}
	return errors.Join(errs...)
}

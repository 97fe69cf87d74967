package uprobe

import (
	"errors"
	"io"
	"os"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// By is the way in which programs are attached to functions.
type By uint8

// The ways. A multi link costs the process that calls the function less and needs no
// privileges (Linux 6.6 and later); a perf event needs CAP_SYS_ADMIN.
const (
	ByNothing By = iota
	ByPerfEvent
	ByMultiLink
)

// HaveMultiLink returns nil if the kernel has multi links. Tests replace it.
var HaveMultiLink = features.HaveBPFLinkUprobeMulti

// Prepare chooses the way for a program that is going to be loaded, and prepares the
// program for it.
func Prepare(prog *ebpf.ProgramSpec) By {
	if prog == nil {
		return ByNothing
	}
	if HaveMultiLink() != nil {
		return ByPerfEvent
	}
	prog.AttachType = ebpf.AttachTraceUprobeMulti
	return ByMultiLink
}

// Place is code in a file.
type Place struct {
	Path   string
	Offset uint64 // in the file
	Cookie uint64 // a value that the program can read
	Return bool   // at the return of the function instead of its entry
}

// errReturn refuses a probe on a return. A process that opens perf events for others
// opens none of this kind.
var errReturn = errors.New("the return of a function needs Linux 6.6, or an agent that keeps its privileges")

// Attacher attaches loaded programs.
type Attacher struct {
	By By
	// Open, if set, opens perf events, for a process that may not open them itself.
	Open func(file *os.File, offset uint64) (*os.File, error)
}

// Attach attaches a program to code, for all processes that run it. Several programs can
// be attached to the same code.
func (a *Attacher) Attach(prog *ebpf.Program, at Place) (io.Closer, error) {
	if a.By == ByPerfEvent && a.Open != nil {
		return a.attachThrough(prog, at)
	}
	file, err := link.OpenExecutable(at.Path)
	if err != nil {
		return nil, err
	}
	if a.By == ByMultiLink {
		attach := file.UprobeMulti
		if at.Return {
			attach = file.UretprobeMulti
		}
		return attach(nil, prog, &link.UprobeMultiOptions{Addresses: []uint64{at.Offset}, Cookies: []uint64{at.Cookie}})
	}
	attach := file.Uprobe
	if at.Return {
		attach = file.Uretprobe
	}
	return attach("", prog, &link.UprobeOptions{Address: at.Offset, Cookie: at.Cookie})
}

// attachThrough attaches to an event that another process opens.
func (a *Attacher) attachThrough(prog *ebpf.Program, at Place) (io.Closer, error) {
	if at.Return {
		return nil, errReturn
	}
	fd, err := unix.Open(at.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open", err)
	}
	file := os.NewFile(uintptr(fd), at.Path)
	defer func() { _ = file.Close() }()
	event, err := a.Open(file, at.Offset)
	if err != nil {
		return nil, err
	}
	l, err := linkToEvent(prog, event, at.Cookie)
	if err != nil {
		return nil, errors.Join(err, event.Close())
	}
	return closers{l, event}, nil
}

// linkToEvent attaches a program to a perf event with a cookie. The library has no
// function for an event that exists already.
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

package sandbox

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"lapwing/probes/foreign"
	"lapwing/probes/uprobe"
)

// The descriptors that the helper starts with.
const (
	ordersFD = 0
	countsFD = 3
)

// init runs the helper, which is this program under another name. It checks the
// name here, before main, so that tests and tools that run an agent have a
// helper too.
func init() {
	if len(os.Args) == 1 && os.Args[0] == helperName {
		os.Exit(serve())
	}
}

// limits are the resource limits of a helper; readers lower them further. When
// memory is short, the kernel does not end the helper before the agent.
var limits = map[int]uint64{
	unix.RLIMIT_CORE:   0,
	unix.RLIMIT_FSIZE:  0,
	unix.RLIMIT_NOFILE: 64,
}

// serve executes the orders of the agent until the agent has ended.
func serve() int {
	if err := foreign.Limit(limits); err != nil {
		return 1
	}
	refused, err := mapCounts(countsFD)
	if err != nil {
		return 1
	}
	_ = unix.Close(countsFD)
	readers := &foreign.Processes{Max: uprobe.MaxReaders}
	defer readers.End()
	for {
		o, f, err := next()
		switch {
		case err != nil:
			return 0 // the agent has ended
		case o.Read > 0:
			go read(readers, o, f)
		default:
			go answer(f, refused)
		}
	}
}

// next waits for an order.
func next() (o order, f *os.File, err error) {
	fd, err := foreign.Receive(ordersFD, &o)
	return o, os.NewFile(uintptr(fd), "order"), err
}

// read starts a reader for a socket.
func read(readers *foreign.Processes, o order, socket *os.File) {
	defer func() { _ = socket.Close() }()
	if _, err := readers.Start(socket, o.Read); err != nil {
		_ = foreign.Decline(socket, err)
	}
}

// notification is struct seccomp_notif, response struct seccomp_notif_resp.
type notification struct {
	ID    uint64
	PID   uint32
	Flags uint32
	Nr    int32
	Arch  uint32
	IP    uint64
	Args  [6]uint64
}

type response struct {
	ID    uint64
	Val   int64
	Error int32
	Flags uint32
}

// answer refuses each system call that the filter reports, and counts it.
func answer(listener *os.File, refused *counts) {
	runtime.LockOSThread()
	fd := listener.Fd()
	for {
		var asked notification
		switch err := ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&asked)); {
		case err == unix.EINTR, err == unix.ENOENT: // the call was interrupted
			continue
		case err != 0:
			_ = listener.Close() // from now on the kernel answers
			return
		}
		refused.add(asked.Arch, asked.Nr)
		reply := response{ID: asked.ID, Error: -int32(unix.EPERM)}
		_ = ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&reply)) // the call was interrupted
	}
}

func ioctl(fd, request uintptr, arg unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(arg))
	return errno
}

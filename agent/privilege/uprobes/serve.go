package uprobes

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"

	"lapwing/agent/privilege"
	"lapwing/agent/privilege/sandbox"
	"lapwing/probes/foreign"
)

const (
	questionsFD  = 0
	userVariable = "LAPWING_UPROBES_USER"
	maxOpening   = 16 // at the same time: the kernel can block each of them
	typeFile     = "/sys/bus/event_source/devices/uprobe/type"
)

// init runs the child, which is this program under another name. It checks the
// name here, before main, so that tests and tools that run an agent have one
// too.
func init() {
	if len(os.Args) == 1 && os.Args[0] == processName {
		os.Exit(serve())
	}
}

var limits = map[int]uint64{
	unix.RLIMIT_CORE:   0,
	unix.RLIMIT_FSIZE:  0,
	unix.RLIMIT_NOFILE: 128,
}

// serve opens the events that the agent asks for until the agent has ended.
func serve() int {
	kind, err := uprobeType()
	if err != nil {
		return 1
	}
	if err := lockIn(); err != nil {
		return 1
	}
	turns := make(chan struct{}, maxOpening)
	for {
		var nothing struct{}
		fd, err := foreign.Receive(questionsFD, &nothing)
		if err != nil {
			return 0 // the agent has ended
		}
		select {
		case turns <- struct{}{}:
			go func() {
				respond(fd, kind)
				<-turns
			}()
		default:
			_ = reply(fd, -1, unix.EBUSY)
			_ = unix.Close(fd)
		}
	}
}

// lockIn keeps a single capability.
func lockIn() error {
	if err := foreign.Limit(limits); err != nil {
		return err
	}
	who, err := privilege.FindIdentity(os.Getenv(userVariable))
	if err != nil {
		return err
	}
	if err := privilege.DropTo(who, cap.SYS_ADMIN); err != nil {
		return err
	}
	if _, err := sandbox.Lock(sandbox.Refuse, nil); err != nil {
		return fmt.Errorf("lock %s in: %w", processName, err)
	}
	return nil
}

// uprobeType returns the kernel's type number of uprobe events.
func uprobeType() (uint32, error) {
	raw, err := os.ReadFile(typeFile)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 32)
	return uint32(n), err
}

// respond answers one question.
func respond(socket int, kind uint32) {
	defer func() { _ = unix.Close(socket) }()
	var q question
	file, err := foreign.Receive(socket, &q)
	if err != nil {
		return
	}
	event, err := open(kind, file, q.Offset)
	_ = unix.Close(file)
	_ = reply(socket, event, err)
	if event >= 0 {
		_ = unix.Close(event)
	}
}

// open opens the event at the entry of a function, for all processes.
func open(kind uint32, file int, offset uint64) (int, error) {
	path, err := unix.BytePtrFromString(fmt.Sprintf("/proc/self/fd/%d", file))
	if err != nil {
		return -1, err
	}
	attr := unix.PerfEventAttr{
		Type: kind,
		Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Ext1: uint64(uintptr(unsafe.Pointer(path))),
		Ext2: offset,
	}
	event, err := unix.PerfEventOpen(&attr, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)
	runtime.KeepAlive(path)
	return event, err
}

func reply(socket, event int, err error) error {
	var a answer
	if err != nil {
		event, a.Errno = -1, unix.EIO
		errors.As(err, &a.Errno)
	}
	return foreign.Send(socket, a, event)
}

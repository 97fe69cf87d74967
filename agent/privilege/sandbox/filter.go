package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Where struct seccomp_data has what a filter looks at. Both architectures of
// the agent have the low half of an argument first.
const (
	offNumber       = 0
	offArchitecture = 4
	offArguments    = 16
)

// x32 marks the numbers of calls of another interface on amd64.
const x32 = 0x40000000

// assemble makes the filter: a call that is not allowed gets the action. Each
// rule ends the filter if it is about the call: what it has loaded in place of
// the call's number is never taken for one.
func assemble(info *arch.Info, own int, otherwise uint32) ([]unix.SockFilter, error) {
	a := assembler{numbers: info.SyscallNames, otherwise: otherwise}
	a.add(bpf.LoadAbsolute{Off: offArchitecture, Size: 4})
	a.add(bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(info.ID), SkipTrue: 1}, bpf.RetConstant{Val: otherwise})
	a.add(bpf.LoadAbsolute{Off: offNumber, Size: 4})
	a.add(bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: x32, SkipFalse: 1}, bpf.RetConstant{Val: otherwise})
	for _, r := range conditional(own) {
		a.rule(r, unix.SECCOMP_RET_ALLOW)
	}
	for _, name := range allowed() {
		a.add(bpf.JumpIf{Cond: bpf.JumpEqual, Val: a.number(name), SkipFalse: 1}, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})
	}
	// Not counted: the runtime names its memory where the kernel can do that, and
	// the C library of a program with cgo falls back to clone.
	a.rule(only("prctl", 0, unix.PR_SET_VMA), unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM))
	a.add(bpf.JumpIf{Cond: bpf.JumpEqual, Val: a.number("clone3"), SkipFalse: 1}, bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)})
	a.add(bpf.RetConstant{Val: otherwise})
	return a.finish()
}

type assembler struct {
	numbers   map[string]int
	otherwise uint32
	program   []bpf.Instruction
	unknown   []string
}

func (a *assembler) add(in ...bpf.Instruction) { a.program = append(a.program, in...) }

func (a *assembler) number(name string) uint32 {
	nr, ok := a.numbers[name]
	if !ok {
		a.unknown = append(a.unknown, name)
	}
	return uint32(nr)
}

// rule adds a rule with the action of what it allows.
func (a *assembler) rule(r rule, action uint32) {
	decide := []bpf.Instruction{bpf.LoadAbsolute{Off: offArguments + 8*r.argument, Size: 4}}
	for _, value := range r.one {
		decide = append(decide, bpf.JumpIf{Cond: bpf.JumpEqual, Val: value, SkipFalse: 1}, bpf.RetConstant{Val: action})
	}
	if r.with != 0 {
		decide = append(decide, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: r.with, SkipFalse: 1}, bpf.RetConstant{Val: action})
	}
	if r.without != 0 {
		decide = append(decide, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: r.without, SkipTrue: 1}, bpf.RetConstant{Val: action})
	}
	decide = append(decide, bpf.RetConstant{Val: a.otherwise})
	a.add(bpf.JumpIf{Cond: bpf.JumpEqual, Val: a.number(r.name), SkipFalse: uint8(len(decide))})
	a.add(decide...)
}

func (a *assembler) finish() ([]unix.SockFilter, error) {
	if len(a.unknown) > 0 {
		return nil, fmt.Errorf("system calls without a number on this architecture: %s", strings.Join(a.unknown, ", "))
	}
	raw, err := bpf.Assemble(a.program)
	if err != nil {
		return nil, fmt.Errorf("assemble the seccomp filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return filter, nil
}

func assembleHere(own int, otherwise uint32) ([]unix.SockFilter, error) {
	info, err := arch.GetInfo("")
	if err != nil {
		return nil, err
	}
	return assemble(info, own, otherwise)
}

// install puts the filter on all threads, for good. It returns the descriptor
// of the listener, if the flags ask for one.
func install(filter []unix.SockFilter, flags uintptr) (int, error) {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	r, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		flags|unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return -1, os.NewSyscallError("seccomp", errno)
	}
	return int(r), nil
}

// listen installs a filter that asks a listener about calls that are not
// allowed, and returns the listener.
func listen(own int) (*os.File, error) {
	filter, err := assembleHere(own, unix.SECCOMP_RET_USER_NOTIF)
	if err != nil {
		return nil, err
	}
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	// Linux 5.19: a call that was told of is not begun anew after a signal, and
	// so counted once.
	fd, err := install(filter, flags|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	if errors.Is(err, unix.EINVAL) {
		fd, err = install(filter, flags)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "refused system calls"), nil
}

// Result says what is in force.
type Result struct {
	Mode    Mode
	Counted bool // refused calls are
}

// Lock puts the filter on all threads of the process, for good. It takes
// no_new_privs. Without a helper, or where somebody else listens already,
// refused calls are not counted.
func Lock(mode Mode, helper *Helper) (Result, error) {
	own := os.Getpid()
	switch mode {
	case Off:
		return Result{Mode: Off}, nil
	case Kill:
		return Result{Mode: Kill}, lock(own, unix.SECCOMP_RET_KILL_PROCESS)
	}
	if helper != nil {
		if listener, err := listen(own); err == nil {
			helper.answer(listener)
			return Result{Mode: Refuse, Counted: true}, nil
		}
	}
	return Result{Mode: Refuse}, lock(own, unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM))
}

func lock(own int, otherwise uint32) error {
	filter, err := assembleHere(own, otherwise)
	if err != nil {
		return err
	}
	_, err = install(filter, 0)
	return err
}

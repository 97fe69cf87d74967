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

// The offsets of the fields of struct seccomp_data that a filter reads. Both
// architectures of the agent store the low half of an argument first.
const (
	offNumber       = 0
	offArchitecture = 4
	offArguments    = 16
)

// x32 marks the call numbers of the x32 interface on amd64.
const x32 = 0x40000000

// assemble builds the filter. A call that is not allowed gets the action
// otherwise. A rule that is about the call always ends the filter, because it
// loads an argument over the call number, which must not be compared as a
// number afterwards.
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
	// These are not counted: the runtime names its memory if the kernel
	// supports it, and the C library of a program with cgo falls back to clone.
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

// rule adds a rule with the action for the calls that it matches.
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

// install puts the filter on all threads, permanently. It returns the
// descriptor of the listener, if the flags ask for one.
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
	// Since Linux 5.19: a call that was reported is not restarted after a
	// signal, and so is counted once.
	fd, err := install(filter, flags|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	if errors.Is(err, unix.EINVAL) {
		fd, err = install(filter, flags)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "refused system calls"), nil
}

// Result describes the filter in force.
type Result struct {
	Mode    Mode
	Counted bool // refused calls are counted
}

// Lock puts the filter on all threads of the process, permanently. It sets
// no_new_privs. Without a helper, or if another process listens already,
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

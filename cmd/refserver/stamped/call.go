package stamped

import (
	"runtime"
	"syscall"
	"unsafe"
)

// The runtime keeps these for packages that make system calls of their own.

//go:linkname entersyscall runtime.entersyscall
//go:nosplit
func entersyscall()

//go:linkname exitsyscall runtime.exitsyscall
//go:nosplit
func exitsyscall()

//go:linkname nanotime runtime.nanotime
//go:nosplit
func nanotime() int64

// args are the arguments of a system call. The second and the third are a
// number or an address.
type args struct {
	fd     uintptr
	second uintptr
	buffer unsafe.Pointer // the second, where it is an address
	third  uintptr
	extra  unsafe.Pointer // the third, where it is an address
	fourth uintptr
}

// call is syscall.Syscall6 with a look at the clock. Between entersyscall and
// exitsyscall nothing may grow the stack or allocate.
//
//go:nosplit
//go:norace
func call(number uintptr, a args) (n int, returned int64, errno syscall.Errno) {
	entersyscall()
	r, _, errno := syscall.RawSyscall6(number, a.fd, a.second|uintptr(a.buffer), a.third|uintptr(a.extra), a.fourth, 0, 0)
	returned = nanotime()
	exitsyscall()
	runtime.KeepAlive(a.buffer)
	runtime.KeepAlive(a.extra)
	return int(r), returned, errno
}

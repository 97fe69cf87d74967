package stamped

import (
	"runtime"
	"syscall"
	"unsafe"
)

// The runtime provides these for packages that make their own system calls.

//go:linkname entersyscall runtime.entersyscall
//go:nosplit
func entersyscall()

//go:linkname exitsyscall runtime.exitsyscall
//go:nosplit
func exitsyscall()

//go:linkname nanotime runtime.nanotime
//go:nosplit
func nanotime() int64

// args are the arguments of a system call. The second and the third are each a
// number or an address.
type args struct {
	fd     uintptr
	second uintptr
	buffer unsafe.Pointer // the second, if it is an address
	third  uintptr
	extra  unsafe.Pointer // the third, if it is an address
	fourth uintptr
}

// call is syscall.Syscall6 with a clock read. Between entersyscall and
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

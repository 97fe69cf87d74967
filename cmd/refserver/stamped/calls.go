package stamped

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read is read(2). It also returns when the call returned, in nanoseconds.
func Read(fd int, p []byte) (n int, returned int64, err error) {
	return result(call(unix.SYS_READ, args{fd: uintptr(fd), buffer: unsafe.Pointer(unsafe.SliceData(p)), third: uintptr(len(p))}))
}

// Write is write(2).
func Write(fd int, p []byte) (n int, returned int64, err error) {
	return result(call(unix.SYS_WRITE, args{fd: uintptr(fd), buffer: unsafe.Pointer(unsafe.SliceData(p)), third: uintptr(len(p))}))
}

// Writev is writev(2) of two non-empty pieces.
func Writev(fd int, head, body []byte) (n int, returned int64, err error) {
	pieces := [2]unix.Iovec{{Base: unsafe.SliceData(head)}, {Base: unsafe.SliceData(body)}}
	pieces[0].SetLen(len(head))
	pieces[1].SetLen(len(body))
	return result(call(unix.SYS_WRITEV, args{fd: uintptr(fd), buffer: unsafe.Pointer(&pieces), third: uintptr(len(pieces))}))
}

// Sendfile is sendfile(2). It advances offset.
func Sendfile(out, in int, offset *int64, count int) (n int, returned int64, err error) {
	return result(call(unix.SYS_SENDFILE, args{fd: uintptr(out), second: uintptr(in), extra: unsafe.Pointer(offset), fourth: uintptr(count)}))
}

// Accept is accept4(2). It sets the address of the peer.
func Accept(listener int, peer *unix.RawSockaddrAny, flags int) (fd int, returned int64, err unix.Errno) {
	size := uint32(unix.SizeofSockaddrAny)
	return call(unix.SYS_ACCEPT4, args{fd: uintptr(listener), buffer: unsafe.Pointer(peer), extra: unsafe.Pointer(&size), fourth: uintptr(flags)})
}

// result converts an error number to the error of a package.
func result(n int, returned int64, errno unix.Errno) (int, int64, error) {
	if errno != 0 {
		return -1, returned, errno
	}
	return n, returned, nil
}

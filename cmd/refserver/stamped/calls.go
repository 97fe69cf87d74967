package stamped

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read is read(2) of some bytes. It returns when, in nanoseconds, as well.
func Read(fd int, p []byte) (n int, returned int64, err error) {
	return result(call(unix.SYS_READ, args{fd: uintptr(fd), buffer: unsafe.Pointer(unsafe.SliceData(p)), third: uintptr(len(p))}))
}

// Write is write(2) of some bytes.
func Write(fd int, p []byte) (n int, returned int64, err error) {
	return result(call(unix.SYS_WRITE, args{fd: uintptr(fd), buffer: unsafe.Pointer(unsafe.SliceData(p)), third: uintptr(len(p))}))
}

// Writev is writev(2) of two pieces, neither of them empty.
func Writev(fd int, head, body []byte) (n int, returned int64, err error) {
	pieces := [2]unix.Iovec{{Base: unsafe.SliceData(head)}, {Base: unsafe.SliceData(body)}}
	pieces[0].SetLen(len(head))
	pieces[1].SetLen(len(body))
	return result(call(unix.SYS_WRITEV, args{fd: uintptr(fd), buffer: unsafe.Pointer(&pieces), third: uintptr(len(pieces))}))
}

// Sendfile is sendfile(2). It moves offset on.
func Sendfile(out, in int, offset *int64, count int) (n int, returned int64, err error) {
	return result(call(unix.SYS_SENDFILE, args{fd: uintptr(out), second: uintptr(in), extra: unsafe.Pointer(offset), fourth: uintptr(count)}))
}

// Accept is accept4(2). It fills in the address of the peer.
func Accept(listener int, peer *unix.RawSockaddrAny, flags int) (fd int, returned int64, err unix.Errno) {
	size := uint32(unix.SizeofSockaddrAny)
	return call(unix.SYS_ACCEPT4, args{fd: uintptr(listener), buffer: unsafe.Pointer(peer), extra: unsafe.Pointer(&size), fourth: uintptr(flags)})
}

// result is what packages make of an error number.
func result(n int, returned int64, errno unix.Errno) (int, int64, error) {
	if errno != 0 {
		return -1, returned, errno
	}
	return n, returned, nil
}

package peer

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The stamped calls bypass the Go scheduler. After an ordinary call a goroutine
// may have to wait for its turn, and the stamp after the call would be late by
// that time. A thread that blocks like this keeps its place in the scheduler,
// of which Main makes sure there are enough. It would also delay a garbage
// collection, which Main turns off.

// raw makes a system call.
func raw(number uintptr, fd int, a, b, c, d, e uintptr) (int, error) {
	n, _, errno := unix.RawSyscall6(number, uintptr(fd), a, b, c, d, e)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// plain makes a call whose arguments are a buffer, its length and, if it has
// any, flags.
func plain(number uintptr, fd int, b []byte, flags int) (int, error) {
	n, err := raw(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(flags), 0, 0)
	runtime.KeepAlive(b)
	return n, err
}

// receive reads with the selected system call.
func receive(via string, fd int, b []byte) (int, error) {
	switch via {
	case ViaPlain:
		return plain(unix.SYS_READ, fd, b, 0)
	case ViaSocket:
		return plain(unix.SYS_RECVFROM, fd, b, 0)
	case ViaVector:
		return vector(unix.SYS_READV, fd, b)
	case ViaMessage:
		return message(unix.SYS_RECVMSG, fd, b)
	case ViaBatch:
		return batch(unix.SYS_RECVMMSG, fd, b)
	}
	return 0, fmt.Errorf("unknown system call family %q", via)
}

// send writes with the selected system call.
func send(via string, fd int, b []byte) (int, error) {
	switch via {
	case ViaPlain:
		return plain(unix.SYS_WRITE, fd, b, 0)
	case ViaSocket:
		return plain(unix.SYS_SENDTO, fd, b, 0)
	case ViaVector:
		return vector(unix.SYS_WRITEV, fd, b)
	case ViaMessage:
		return message(unix.SYS_SENDMSG, fd, b)
	case ViaBatch:
		return batch(unix.SYS_SENDMMSG, fd, b)
	}
	return 0, fmt.Errorf("unknown system call family %q", via)
}

// halves splits a buffer of at least one byte, so that a vectored call has more
// than one part.
func halves(b []byte) []unix.Iovec {
	half := len(b) / 2
	var parts []unix.Iovec
	for _, part := range [][]byte{b[:half], b[half:]} {
		if len(part) > 0 {
			v := unix.Iovec{Base: &part[0]}
			v.SetLen(len(part))
			parts = append(parts, v)
		}
	}
	return parts
}

func vector(number uintptr, fd int, b []byte) (int, error) {
	parts := halves(b)
	n, err := raw(number, fd, uintptr(unsafe.Pointer(&parts[0])), uintptr(len(parts)), 0, 0, 0)
	runtime.KeepAlive(parts)
	return n, err
}

// writev writes the parts as they are.
func writev(fd int, parts [][]byte) (int, error) {
	vectors := make([]unix.Iovec, len(parts))
	for i, part := range parts {
		vectors[i].Base = &part[0]
		vectors[i].SetLen(len(part))
	}
	n, err := raw(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&vectors[0])), uintptr(len(vectors)), 0, 0, 0)
	runtime.KeepAlive(vectors)
	return n, err
}

func message(number uintptr, fd int, b []byte) (int, error) {
	parts := halves(b)
	msg := unix.Msghdr{Iov: &parts[0]}
	msg.SetIovlen(len(parts))
	n, err := raw(number, fd, uintptr(unsafe.Pointer(&msg)), 0, 0, 0, 0)
	runtime.KeepAlive(&msg)
	return n, err
}

// mmsghdr is the kernel's struct mmsghdr; Go pads its end as C does.
type mmsghdr struct {
	head unix.Msghdr
	n    uint32
}

// batch makes one recvmmsg or sendmmsg of a single message.
func batch(number uintptr, fd int, b []byte) (int, error) {
	parts := halves(b)
	msg := mmsghdr{head: unix.Msghdr{Iov: &parts[0]}}
	msg.head.SetIovlen(len(parts))
	_, err := raw(number, fd, uintptr(unsafe.Pointer(&msg)), 1, 0, 0, 0)
	runtime.KeepAlive(&msg)
	return int(msg.n), err
}

// sendfile sends from a file, splice from a pipe.
func sendfile(to, from, n int) (int, error) {
	return raw(unix.SYS_SENDFILE, to, uintptr(from), 0, uintptr(n), 0, 0)
}

func splice(to, from, n int) (int, error) {
	return raw(unix.SYS_SPLICE, from, 0, uintptr(to), 0, uintptr(n), 0)
}

func accept(listener int) (int, error) {
	return raw(unix.SYS_ACCEPT4, listener, 0, 0, unix.SOCK_CLOEXEC, 0, 0)
}

// sleepUntil sleeps on the kernel's timer until a time of the monotonic clock.
func sleepUntil(at int64) error {
	ts := unix.NsecToTimespec(at)
	_, err := raw(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	runtime.KeepAlive(&ts)
	return err
}

package socket

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// span is the time of a system call by the caller's own clock.
type span struct{ before, after uint64 }

// talker is an end of a connection that reads and writes with plain system calls, in
// random pieces.
type talker struct {
	fd   int
	rand *rand.Rand
	buf  [8192]byte
}

func clocked(call func() (int, error)) (n int, s span, err error) {
	s.before = monotonic()
	for {
		if n, err = call(); !errors.Is(err, unix.EINTR) {
			break
		}
		s.before = monotonic()
	}
	s.after = monotonic()
	return n, s, err
}

// pause lets the other end be ahead now and then.
func (k *talker) pause() {
	switch k.rand.IntN(8) {
	case 0:
		time.Sleep(time.Duration(k.rand.IntN(200)) * time.Microsecond)
	case 1:
		runtime.Gosched()
	}
}

// say writes the complete text in up to four pieces.
func (k *talker) say(text []byte) (first, last span, err error) {
	for pieces := 1 + k.rand.IntN(4); len(text) > 0; pieces-- {
		n := len(text)
		if pieces > 1 {
			n = 1 + k.rand.IntN(len(text))
		}
		n, last, err = clocked(func() (int, error) { return k.write(text[:n]) })
		if err != nil {
			return first, last, err
		}
		if first == (span{}) {
			first = last
		}
		text = text[n:]
		k.pause()
	}
	return first, last, nil
}

func (k *talker) write(b []byte) (int, error) {
	switch k.rand.IntN(3) {
	case 0:
		return unix.Write(k.fd, b)
	case 1:
		half := len(b) / 2
		return unix.Writev(k.fd, [][]byte{b[:half], b[half:]})
	}
	return unix.SendmsgN(k.fd, b, nil, nil, unix.MSG_NOSIGNAL)
}

// hear reads one message. Its length is in a field that comes first, for both ends.
func (k *talker) hear() (text []byte, first, last span, err error) {
	for {
		limit := len(k.buf)
		if k.rand.IntN(3) == 0 {
			limit = 1 + k.rand.IntN(200)
		}
		if whole, left := messageLeft(text); whole {
			return text, first, last, nil
		} else if left > 0 {
			limit = min(limit, left) // what follows belongs to the next message
		}
		var n int
		n, last, err = clocked(func() (int, error) { return k.read(k.buf[:limit]) })
		if err != nil || n == 0 {
			return nil, first, last, err
		}
		if first == (span{}) {
			first = last
		}
		text = append(text, k.buf[:n]...)
	}
}

func (k *talker) read(b []byte) (int, error) {
	if k.rand.IntN(2) == 0 {
		return unix.Read(k.fd, b)
	}
	n, _, err := unix.Recvfrom(k.fd, b, 0)
	return n, err
}

// messageLeft reports whether the message is complete and, if its head is, how much is
// missing.
func messageLeft(text []byte) (whole bool, left int) {
	head := bytes.Index(text, []byte("\r\n\r\n"))
	if head < 0 {
		return false, 0
	}
	_, value, _ := strings.Cut(string(text[:head]), "Content-Length: ")
	value, _, _ = strings.Cut(value, "\r\n")
	length, _ := strconv.Atoi(value)
	left = head + 4 + length - len(text)
	return left == 0, left
}

func body(r *rand.Rand) string {
	switch r.IntN(6) {
	case 0, 1:
		return strings.Repeat("b", r.IntN(3000))
	case 2:
		return strings.Repeat("B", 1+r.IntN(150_000))
	}
	return ""
}

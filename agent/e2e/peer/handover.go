package peer

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// socketpair creates two connected unix sockets for passing descriptors.
func (t *thread) socketpair(s Step) error {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	t.set(s.Slot, ends[0])
	t.set(s.Other, ends[1])
	return nil
}

// passFD sends a descriptor to the reader of the other end.
func (t *thread) passFD(s Step, fd int) error {
	over, err := t.fd(s.Other)
	if err != nil {
		return err
	}
	rights := unix.UnixRights(fd)
	return t.stamped(s, func() (int, error) { return 0, unix.Sendmsg(over, []byte{0}, rights, nil, 0) })
}

// takeFD receives a descriptor that passFD sent.
func (t *thread) takeFD(s Step) error {
	over, err := t.fd(s.Other)
	if err != nil {
		return err
	}
	control := make([]byte, unix.CmsgSpace(4))
	n := 0
	err = t.stamped(s, func() (int, error) {
		var err error
		_, n, _, _, err = unix.Recvmsg(over, make([]byte, 1), control, unix.MSG_CMSG_CLOEXEC)
		return 0, err
	})
	if err != nil {
		return err
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil {
		return err
	}
	if len(messages) != 1 {
		return errors.New("no descriptor came with the message")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return fmt.Errorf("expected one descriptor, got %d: %w", len(fds), err)
	}
	t.set(s.Slot, fds[0])
	return nil
}

package foreign

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/probes/foreign/elffile"
)

// maxMessage is the limit of a message between the agent and its reader.
const maxMessage = 16 << 10

// question goes to the reader, with the descriptor of the file.
type question struct {
	Functions []string `json:"functions"`
}

// answer comes back.
type answer struct {
	Refused Reason                  `json:"refused,omitempty"`
	Detail  string                  `json:"detail,omitempty"`
	File    FileID                  `json:"file"`
	Found   map[string]elffile.Spot `json:"found,omitempty"`
}

// sendLimit is how long Tell waits for room. There is always room, unless the other end
// hangs.
const sendLimit = 100 * time.Millisecond

// Tell sends a message, with a file, on an end of a Pair.
func Tell(conn *net.UnixConn, message any, f *os.File) error {
	raw, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(sendLimit)); err != nil {
		return err
	}
	_, _, err = conn.WriteMsgUnix(raw, unix.UnixRights(int(f.Fd())), nil)
	return err
}

// Take waits for a message on an end of a Pair. The file is nil if none came with it.
func Take(conn *net.UnixConn, message any) (*os.File, error) {
	raw, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4))
	n, oob, _, _, err := conn.ReadMsgUnix(raw, rights)
	if err != nil {
		return nil, err
	}
	var f *os.File
	if oob > 0 {
		fd, err := descriptorIn(rights[:oob])
		if err != nil {
			return nil, err
		}
		f = os.NewFile(uintptr(fd), "taken")
	}
	return f, json.Unmarshal(raw[:n], message)
}

// Send sends a message on an end of a Pair that is a descriptor. It sends fd with it,
// unless fd is negative.
func Send(socket int, message any, fd int) error {
	raw, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(raw) > maxMessage {
		return errors.New("the message is too long")
	}
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	return unix.Sendmsg(socket, raw, rights, nil, unix.MSG_NOSIGNAL)
}

// Receive waits for a message with a descriptor, as JSON, on an end of a Pair.
func Receive(socket int, message any) (fd int, err error) {
	raw, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4))
	n, oob, _, _, err := unix.Recvmsg(socket, raw, rights, unix.MSG_CMSG_CLOEXEC)
	for errors.Is(err, unix.EINTR) {
		n, oob, _, _, err = unix.Recvmsg(socket, raw, rights, unix.MSG_CMSG_CLOEXEC)
	}
	if err != nil {
		return -1, err
	}
	if fd, err = descriptorIn(rights[:oob]); err != nil {
		return -1, err
	}
	return fd, json.Unmarshal(raw[:n], message)
}

// descriptorIn returns the descriptor that came with a message.
func descriptorIn(rights []byte) (int, error) {
	parts, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(parts) != 1 {
		return -1, errors.New("a message without a descriptor")
	}
	fds, err := unix.ParseUnixRights(&parts[0])
	if err != nil || len(fds) != 1 {
		return -1, errors.New("a message without a descriptor")
	}
	return fds[0], nil
}

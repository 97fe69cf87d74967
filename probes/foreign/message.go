package foreign

import (
	"encoding/json"
	"errors"

	"golang.org/x/sys/unix"

	"lapwing/probes/foreign/elffile"
)

// maxMessage bounds what the agent and its reader tell each other.
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

// send sends a message, with a descriptor unless it is negative.
func send(socket int, message any, fd int) error {
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
	parts, err := unix.ParseSocketControlMessage(rights[:oob])
	if err != nil || len(parts) != 1 {
		return -1, errors.New("a message without a descriptor")
	}
	fds, err := unix.ParseUnixRights(&parts[0])
	if err != nil || len(fds) != 1 {
		return -1, errors.New("a message without a descriptor")
	}
	return fds[0], json.Unmarshal(raw[:n], message)
}

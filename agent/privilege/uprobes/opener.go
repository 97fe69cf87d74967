package uprobes

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"

	"lapwing/agent/privilege"
	"lapwing/probes/foreign"
)

// processName is the name of the child process.
const processName = "lapwing-uprobes"

// question is a request to the child, sent with a descriptor of the file.
type question struct {
	Offset uint64 `json:"offset"`
}

// answer is the response, sent with the event unless it was refused.
type answer struct {
	Errno unix.Errno `json:"errno,omitempty"`
}

// Opener is the agent's handle of the child. It is safe for concurrent use.
type Opener struct{ conn *net.UnixConn }

// ErrNotAllowed means that the process lacks the capability that it would leave
// to the child.
var ErrNotAllowed = errors.New("before Linux 6.6, uprobes need CAP_SYS_ADMIN, which is missing")

// Start starts the child: this program again, which changes to another user
// unless who is nil. It must be called before the privileges are dropped.
func Start(who *privilege.Identity) (*Opener, error) {
	if has, err := cap.GetProc().GetFlag(cap.Permitted, cap.SYS_ADMIN); err != nil || !has {
		return nil, ErrNotAllowed
	}
	conn, theirs, err := foreign.Pair()
	if err != nil {
		return nil, err
	}
	defer func() { _ = theirs.Close() }()
	cmd := foreign.Again(processName, 2)
	cmd.Env = append(cmd.Env, userVariable+"="+who.Number())
	cmd.Stdin = theirs
	cmd.SysProcAttr.AmbientCaps = []uintptr{uintptr(cap.SYS_ADMIN)}
	if err := cmd.Start(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start %s: %w", processName, err)
	}
	go func() { _ = cmd.Wait() }()
	return &Opener{conn}, nil
}

// Open opens the event of an offset in a file. It can block in the kernel,
// which takes the memory locks of all processes that run the file.
func (o *Opener) Open(file *os.File, offset uint64) (*os.File, error) {
	conn, theirs, err := foreign.Pair()
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	err = foreign.Tell(o.conn, struct{}{}, theirs)
	_ = theirs.Close()
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", processName, err)
	}
	if err := foreign.Tell(conn, question{offset}, file); err != nil {
		return nil, fmt.Errorf("ask %s: %w", processName, err)
	}
	return take(conn)
}

// take receives the answer and the event.
func take(conn *net.UnixConn) (*os.File, error) {
	var a answer
	event, err := foreign.Take(conn, &a)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s has exited: %w", processName, err)
	case a.Errno != 0:
		return nil, fmt.Errorf("open the perf event of a uprobe: %w", a.Errno)
	case event == nil:
		return nil, errors.New("the answer contains no perf event")
	}
	return event, nil
}

// Close ends the child. The events that it opened stay open. A nil Opener has
// ended.
func (o *Opener) Close() error {
	if o == nil {
		return nil
	}
	return o.conn.Close()
}

package foreign

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"

	"lapwing/probes/foreign/elffile"
)

// readerName is the name of the reader's process.
const readerName = "lapwing-reader"

// Reader lets child processes read files. Each child is this program again, reads one
// file, and locks itself in before it reads. Whatever happens to it, the agent goes on. A
// child that does not answer in time is killed. The agent does not wait until it is gone,
// because a hanging disk can delay that forever.
type Reader struct {
	Start    Starter
	Deadline time.Duration // for one file
}

// Starter starts a process that answers one question, which comes through a socket. It
// ends the process after the limit, or when end is called.
type Starter func(socket *os.File, limit time.Duration) (end func(), err error)

// Functions finds functions in the file of a mapping.
func (r *Reader) Functions(ctx context.Context, f *File, m Mapping, names []string) (map[string]elffile.Spot, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Deadline)
	defer cancel()
	conn, theirs, err := Pair()
	if err != nil {
		return nil, refuse(NoReader, err)
	}
	defer func() { _ = conn.Close() }()
	end, err := r.Start(theirs, r.Deadline)
	_ = theirs.Close()
	if err != nil {
		return nil, refuse(ReasonOf(err), err)
	}
	defer end()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	a, err := ask(conn, f, question{names})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, refuse(NoAnswer, ctx.Err())
	case err != nil:
		return nil, refuse(ReaderDied, err)
	}
	return a.judge(m)
}

// judge takes what a reader reports about the mapped file, and about no other file.
func (a answer) judge(m Mapping) (map[string]elffile.Spot, error) {
	switch {
	case a.Refused == NotRegular, a.Refused == NoReader, a.Refused == Busy, a.Refused == Unreachable:
		return nil, refuse(a.Refused, errors.New(a.Detail))
	case a.File != m.ID:
		return nil, refuse(Replaced, nil)
	case a.Refused == Budget || a.Refused == NotELF:
		return nil, refuse(a.Refused, errors.New(a.Detail))
	case a.Refused != "":
		return nil, refuse(ReaderDied, errors.New("an unknown reason"))
	}
	return a.Found, nil
}

// OfFile reports whether an error is about the content of the mapped file, whichever
// process maps it.
func OfFile(err error) bool {
	reason := ReasonOf(err)
	return reason == Budget || reason == NotELF
}

// Processes starts the processes of readers as children of this one.
type Processes struct {
	Max int // limit of processes that are not gone yet

	environ []string // further variables, for tests
	alive   atomic.Int32
	running sync.Map // a set of *os.Process
}

var _ Starter = (*Processes)(nil).Start

// Start implements Starter.
func (p *Processes) Start(socket *os.File, limit time.Duration) (end func(), err error) {
	if int(p.alive.Add(1)) > p.Max {
		p.alive.Add(-1)
		return nil, refuse(Busy, nil)
	}
	cmd := Again(readerName, 1)
	cmd.Env = append(cmd.Env, p.environ...)
	cmd.Stdin = socket
	if err := cmd.Start(); err != nil {
		p.alive.Add(-1)
		return nil, refuse(NoReader, err)
	}
	end = func() { _ = cmd.Process.Kill() }
	p.running.Store(cmd.Process, nil)
	overdue := time.AfterFunc(limit, end)
	go func() {
		_ = cmd.Wait()
		overdue.Stop()
		p.running.Delete(cmd.Process)
		p.alive.Add(-1)
	}()
	return end, nil
}

// End ends all of them, and does not wait.
func (p *Processes) End() {
	p.running.Range(func(process, _ any) bool {
		_ = process.(*os.Process).Kill()
		return true
	})
}

// Decline answers for a reader that could not be started.
func Decline(socket *os.File, err error) error {
	return Send(int(socket.Fd()), answer{Refused: ReasonOf(err), Detail: err.Error()}, -1)
}

// Again returns the command that starts this program once more. The name tells the new
// process what it is for. It gets this many processors, and what readers need.
func Again(name string, processors int) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{name}
	cmd.Env = []string{"GOMAXPROCS=" + strconv.Itoa(processors), "GOMEMLIMIT=16MiB", "GOTRACEBACK=none"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, AmbientCaps: readerCaps()}
	return cmd
}

// readerCaps returns the capabilities that are needed to open a file of another user, for
// the process that starts readers. Readers drop them before they read.
func readerCaps() []uintptr {
	if has, err := cap.GetProc().GetFlag(cap.Permitted, cap.DAC_READ_SEARCH); err != nil || !has {
		return nil
	}
	return []uintptr{uintptr(cap.DAC_READ_SEARCH)}
}

// Pair returns the two ends of a socket for messages: one for this process, one for a
// child.
func Pair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "reader"), os.NewFile(uintptr(fds[1]), "agent")
	conn, err := net.FileConn(ours)
	_ = ours.Close()
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return conn.(*net.UnixConn), theirs, nil
}

// ask sends the question and reads the answer. It takes no descriptors that come with it.
func ask(conn *net.UnixConn, f *File, q question) (answer, error) {
	if err := Tell(conn, q, f.fd); err != nil {
		return answer{}, err
	}
	reply := make([]byte, maxMessage)
	n, err := conn.Read(reply)
	if err != nil {
		return answer{}, err
	}
	var a answer
	err = json.Unmarshal(reply[:n], &a)
	if len(a.Detail) > 200 {
		a.Detail = a.Detail[:200]
	}
	a.Detail = strconv.QuoteToASCII(a.Detail)
	return a, err
}

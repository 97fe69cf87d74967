package peer

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// thread runs one script on one locked OS thread.
type thread struct {
	*process
	tid    int
	stamps Stamps
	buf    []byte

	at      int              // the current step
	sources map[int]*os.File // the files and pipes that steps send from
}

// bufferBytes is the size of a read if the script does not set it.
const bufferBytes = 256 << 10

// run plays the script. waited is the time in nanoseconds for which the thread
// was runnable without a CPU: a stamp taken in user space can be late by that
// time.
func (p *process) run(steps []Step) (stamps Stamps, waited int64, err error) {
	// Never unlocked: a thread with its own priority must not be reused.
	runtime.LockOSThread()
	setRealtime()
	t := &thread{process: p, tid: unix.Gettid(), buf: make([]byte, bufferBytes), sources: make(map[int]*os.File)}
	if err := t.prepare(steps); err != nil {
		return nil, 0, err
	}
	before := runDelay()
	for i, s := range steps {
		t.at = i
		if err := t.step(s); err != nil {
			return t.stamps, 0, fmt.Errorf("step %d (%s %q): %w", i, s.Op, s.Label, err)
		}
	}
	return t.stamps, runDelay() - before, nil
}

func (t *thread) step(s Step) error {
	err := t.perform(s)
	if s.MayFail {
		return nil
	}
	return err
}

func (t *thread) perform(s Step) error {
	switch s.Op {
	case OpSleep:
		return t.stamped(s, func() (int, error) { return 0, sleep(s.Pause) })
	case OpSignal:
		return t.board.signal(s.Event)
	case OpAwait:
		return t.board.await(s.Event, t.timeout)
	case OpAccept:
		return t.accept(s)
	case OpConnect:
		return t.connect(s)
	case OpSocketpair:
		return t.socketpair(s)
	case OpTakeFD:
		return t.takeFD(s)
	case OpSpawn:
		return t.stamped(s, func() (int, error) { return 0, t.spawn(*s.Child) })
	}
	fd, err := t.fd(s.Slot)
	if err != nil {
		return err
	}
	return t.onDescriptor(s, fd)
}

func (t *thread) onDescriptor(s Step, fd int) error {
	switch s.Op {
	case OpRead, OpReadFull, OpReadHead, OpReadEOF:
		return t.read(s, fd)
	case OpPeek, OpReadNone:
		return t.look(s, fd)
	case OpWrite, OpTrickle, OpWritePoll, OpWriteRoom:
		return t.write(s, fd)
	case OpSegments:
		return t.writeSegments(s, fd)
	case OpSendfile, OpSplice:
		return t.sendFrom(s, fd)
	case OpPassFD:
		return t.passFD(s, fd)
	case OpSendBuffer:
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, s.Size)
	case OpShutdown:
		return t.stamped(s, func() (int, error) { return 0, unix.Shutdown(fd, unix.SHUT_WR) })
	case OpClose:
		return t.close(s, fd)
	case OpReset:
		linger := unix.Linger{Onoff: 1}
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &linger); err != nil {
			return err
		}
		return t.close(s, fd)
	}
	return fmt.Errorf("unknown operation %q", s.Op)
}

// stamped makes one system call between two stamps.
func (t *thread) stamped(s Step, call func() (int, error)) error {
	st := Stamp{Label: s.Label, Op: s.Op, PID: t.pid, TID: t.tid, Before: now()}
	n, err := call()
	for errors.Is(err, unix.EINTR) {
		n, err = call()
	}
	st.After = now()
	st.N = max(n, 0)
	if err != nil {
		st.Err = err.Error()
	}
	if s.Label != "" {
		t.stamps = append(t.stamps, st)
	}
	return err
}

func (t *thread) accept(s Step) error {
	return t.stamped(s, func() (int, error) {
		fd, err := accept(t.listener)
		if err == nil {
			t.set(s.Slot, fd)
		}
		return 0, err
	})
}

func (t *thread) connect(s Step) error {
	to := s.Address
	if to.Family == "" {
		to = t.address
	}
	fd, err := to.socket(false)
	if err != nil {
		return err
	}
	if s.Size > 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, s.Size); err != nil {
			return err
		}
	}
	if to.Family != Unix {
		// A write must be sent when it returns, not only after the peer has
		// acknowledged the previous one.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return err
		}
	}
	t.set(s.Slot, fd)
	err = t.stamped(s, func() (int, error) { return 0, unix.Connect(fd, to.sockaddr()) })
	if err == nil && s.Label != "" {
		t.stamps[len(t.stamps)-1].Name = localName(fd)
	}
	return err
}

func (t *thread) close(s Step, fd int) error {
	t.forget(s.Slot)
	return t.stamped(s, func() (int, error) { return 0, unix.Close(fd) })
}

// setRealtime gives the thread real-time priority, so that it runs at the right
// time on a busy machine. This is optional: without the privilege the thread
// stays as it is. Threads and processes that it starts do not inherit the
// priority.
func setRealtime() {
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{
		Size:     unix.SizeofSchedAttr,
		Policy:   unix.SCHED_FIFO,
		Flags:    unix.SCHED_FLAG_RESET_ON_FORK,
		Priority: 1,
	}, 0)
}

// runDelay returns the time in nanoseconds that the calling thread has spent
// runnable without a CPU; 0 if the kernel does not account for it.
func runDelay() int64 {
	b, err := os.ReadFile("/proc/thread-self/schedstat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	n, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// sleep sleeps for d, starting now.
func sleep(d time.Duration) error {
	until := now() + int64(d)
	for {
		if err := sleepUntil(until); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

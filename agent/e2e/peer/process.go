package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// roleVariable marks a process in which Main plays a program.
const roleVariable = "LAPWING_E2E_PEER"

// setup is what a process receives on its standard input.
type setup struct {
	Program  Program
	Address  Address
	Timeout  time.Duration // of a single wait for an event
	Listener int           // descriptor; 0 if there is none
	Slots    map[Slot]int  // inherited descriptors
}

// result is what a process writes to its standard output.
type result struct {
	Stamps Stamps
	Waited int64 // time in nanoseconds that its threads were runnable without a CPU
	Error  string
}

// boardDescriptor is the descriptor of the event board.
const boardDescriptor = 3

// process is the process that plays a program, seen from inside.
type process struct {
	pid      int
	board    *board
	address  Address
	timeout  time.Duration
	listener int

	mu       sync.Mutex
	slots    map[Slot]int
	children []*child
}

// Main plays a program if this process was started for that; it does not return
// then. It must be called first in TestMain.
func Main() {
	if os.Getenv(roleVariable) == "" {
		return
	}
	// A thread in a stamped call cannot be stopped for a garbage collection.
	debug.SetGCPercent(-1)
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve plays the program in the input and writes the result to out. It then
// waits for the end of the input, because a process that has ended cannot be
// looked up in /proc.
func serve(in io.Reader, out io.Writer) error {
	var s setup
	dec := json.NewDecoder(in)
	if err := dec.Decode(&s); err != nil {
		return fmt.Errorf("read the program: %w", err)
	}
	events, err := openBoard(os.NewFile(boardDescriptor, "events"))
	if err != nil {
		return err
	}
	p := &process{
		pid: os.Getpid(), board: events, address: s.Address,
		timeout: s.Timeout, listener: s.Listener, slots: s.Slots,
	}
	if p.slots == nil {
		p.slots = make(map[Slot]int)
	}
	res := p.play(s.Program)
	if err := json.NewEncoder(out).Encode(res); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	_, err = io.Copy(io.Discard, in)
	p.endChildren()
	return err
}

// play runs all threads and collects what they and the children did.
func (p *process) play(prog Program) result {
	type outcome struct {
		stamps Stamps
		waited int64
		err    error
	}
	done := make(chan outcome, len(prog.Threads))
	for _, steps := range prog.Threads {
		go func() {
			stamps, waited, err := p.run(steps)
			done <- outcome{stamps, waited, err}
		}()
	}
	var res result
	for range prog.Threads {
		o := <-done
		res.Stamps = append(res.Stamps, o.stamps...)
		res.Waited += o.waited
		if o.err != nil {
			// The other threads may wait forever for this one.
			res.Error = o.err.Error()
			return res
		}
	}
	p.gatherChildren(&res)
	sort.SliceStable(res.Stamps, func(i, j int) bool { return res.Stamps[i].Before < res.Stamps[j].Before })
	return res
}

func (p *process) gatherChildren(res *result) {
	for _, c := range p.children {
		r, err := c.result()
		if err != nil {
			res.Error = err.Error()
			return
		}
		res.Stamps = append(res.Stamps, r.Stamps...)
		res.Waited += r.Waited
		if r.Error != "" {
			res.Error = "child: " + r.Error
		}
	}
}

func (p *process) endChildren() {
	for _, c := range p.children {
		_ = c.end()
	}
}

func (p *process) fd(s Slot) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fd, ok := p.slots[s]
	if !ok {
		return -1, fmt.Errorf("slot %d holds no descriptor", s)
	}
	return fd, nil
}

func (p *process) set(s Slot, fd int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots[s] = fd
}

func (p *process) forget(s Slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.slots, s)
}

// spawn starts a process that inherits copies of some slots, as a fork would.
func (p *process) spawn(prog Program) error {
	s := setup{Program: prog, Address: p.address, Timeout: p.timeout, Slots: make(map[Slot]int)}
	files := []*os.File{p.board.file}
	defer func() {
		for _, f := range files[1:] {
			_ = f.Close()
		}
	}()
	for _, slot := range prog.Inherit {
		fd, err := p.fd(slot)
		if err != nil {
			return err
		}
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("copy slot %d: %w", slot, err)
		}
		s.Slots[slot] = boardDescriptor + len(files)
		files = append(files, os.NewFile(uintptr(dup), "slot"))
	}
	c, err := startChild(s, files)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.children = append(p.children, c)
	return nil
}

// child is a process that plays a program, seen from outside.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *json.Decoder
	err   strings.Builder
}

// startChild starts this executable again to play a program.
func startChild(s setup, files []*os.File) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the test binary: %w", err)
	}
	c := &child{cmd: exec.Command(self)}
	c.cmd.Env = append(os.Environ(), roleVariable+"=1",
		// Threads in stamped calls count as running. There must be room for
		// others, and no signals that preempt them.
		"GOMAXPROCS=16", "GODEBUG=asyncpreemptoff=1")
	c.cmd.ExtraFiles = files
	c.cmd.Stderr = &c.err
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = json.NewDecoder(stdout)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a peer: %w", err)
	}
	if err := json.NewEncoder(c.stdin).Encode(s); err != nil {
		return nil, errors.Join(fmt.Errorf("hand over the program: %w", err), c.end())
	}
	return c, nil
}

// result waits for the program to end.
func (c *child) result() (result, error) {
	var r result
	if err := c.out.Decode(&r); err != nil {
		return r, fmt.Errorf("a peer gave no result: %w", err)
	}
	return r, nil
}

// end lets the process exit and waits for it. If it does not exit, it is
// killed.
func (c *child) end() error {
	_ = c.stdin.Close()
	kill := time.AfterFunc(5*time.Second, func() { _ = c.cmd.Process.Kill() })
	defer kill.Stop()
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("peer %d: %w: %s", c.cmd.Process.Pid, err, c.err.String())
	}
	return nil
}

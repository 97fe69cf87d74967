package master

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/board"
	"lapwing/cmd/refserver/config"
	"lapwing/cmd/refserver/process"
	"lapwing/cmd/refserver/sock"
	"lapwing/cmd/refserver/truth"
)

const (
	// workerEnv marks a process as a worker and holds its id.
	workerEnv = "REFSERVER_WORKER"
	// restartPause slows the restarts of a worker that dies immediately.
	restartPause = 200 * time.Millisecond
	// killAfter is the time after which the master kills a worker that does not
	// end.
	killAfter = process.Grace + 2*time.Second
	// startTimeout limits the time until all workers have reported.
	startTimeout = 10 * time.Second
)

// The files that a worker inherits, starting at descriptor 3.
const (
	listenerFD = 3 + iota
	boardFD
	lifelineFD
)

// Master is the parent of the worker processes.
type Master struct {
	cfg      config.Config
	listener *sock.Listener
	board    *board.Board
	lifeline *os.File // the end of the workers; no byte is ever sent on it
	keep     *os.File // the end of the master; the kernel closes it when the master dies
	exits    chan exit
	running  map[int]*exec.Cmd // by worker id
}

type exit struct {
	id      int
	err     error
	started time.Time
}

// Run starts the server and returns after SIGTERM or SIGINT has ended it. Once
// all workers wait for connections, it prints the address to standard output,
// as "listening on 127.0.0.1:8080".
func Run(cfg config.Config) error {
	if err := truth.Create(cfg.Truth); err != nil {
		return err
	}
	listener, err := sock.Listen(cfg.Listen, cfg.Backlog)
	if err != nil {
		return err
	}
	defer listener.Close()
	m, err := prepare(cfg, listener)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGTERM, unix.SIGINT)
	defer m.keep.Close()
	for id := 1; id <= cfg.Workers; id++ {
		if err := m.start(id); err != nil {
			return errors.Join(err, m.shutdown())
		}
	}
	if err := m.awaitWorkers(stop); err != nil {
		return errors.Join(err, m.shutdown())
	}
	process.Ready(listener)
	m.supervise(stop)
	return m.shutdown()
}

func prepare(cfg config.Config, listener *sock.Listener) (*Master, error) {
	b, err := board.New(cfg.Slots())
	if err != nil {
		return nil, err
	}
	lifeline, keep, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the workers' lifeline: %w", err)
	}
	return &Master{
		cfg: cfg, listener: listener, board: b, lifeline: lifeline, keep: keep,
		exits: make(chan exit, cfg.Workers), running: make(map[int]*exec.Cmd),
	}, nil
}

// start starts the worker with that id.
func (m *Master) start(id int) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program to start workers with: %w", err)
	}
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	// Without asynchronous preemption the Go runtime sends no signals to its
	// threads, so the system calls of a worker are not interrupted.
	cmd.Env = append(os.Environ(), workerEnv+"="+strconv.Itoa(id), "GODEBUG=asyncpreemptoff=1,"+os.Getenv("GODEBUG"))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// In a process group of its own, it does not get the Ctrl-C of the terminal
	// together with its master.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	listener, err := m.listenerFile()
	if err != nil {
		return err
	}
	defer listener.Close()
	cmd.ExtraFiles = []*os.File{listener, m.board.File(), m.lifeline}
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start worker %d: %w", id, err)
	}
	m.running[id] = cmd
	go func() { m.exits <- exit{id: id, err: cmd.Wait(), started: started} }()
	return nil
}

// listenerFile returns a copy of the listening descriptor that package os may
// own.
func (m *Master) listenerFile() (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(m.listener.FD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("copy the listening socket: %w", err)
	}
	return os.NewFile(uintptr(fd), "listener"), nil
}

// awaitWorkers waits until all workers have reported.
func (m *Master) awaitWorkers(stop <-chan os.Signal) error {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	timeout := time.After(startTimeout)
	for m.board.Ready() < m.cfg.Slots() {
		select {
		case <-look.C:
		case e := <-m.exits:
			delete(m.running, e.id)
			return fmt.Errorf("worker %d ended before it was ready: %w", e.id, orExit0(e.err))
		case <-stop:
			return errors.New("stopped before all workers were ready")
		case <-timeout:
			return fmt.Errorf("%d of %d workers were ready after %v", m.board.Ready(), m.cfg.Slots(), startTimeout)
		}
	}
	return nil
}

// supervise restarts workers until a signal arrives.
func (m *Master) supervise(stop <-chan os.Signal) {
	due := make(chan int, m.cfg.Workers)
	for {
		select {
		case <-stop:
			return
		case e := <-m.exits:
			delete(m.running, e.id)
			m.clear(e.id)
			fmt.Fprintf(os.Stderr, "worker %d ended: %v: starting another\n", e.id, orExit0(e.err))
			pause := max(0, restartPause-time.Since(e.started))
			time.AfterFunc(pause, func() { due <- e.id })
		case id := <-due:
			if err := m.start(id); err != nil {
				fmt.Fprintln(os.Stderr, err)
				time.AfterFunc(restartPause, func() { due <- id })
			}
		}
	}
}

// clear marks the workers of an ended process as gone.
func (m *Master) clear(id int) {
	for thread := 1; thread <= m.cfg.Threads; thread++ {
		m.board.Slot((id-1)*m.cfg.Threads + thread).Clear()
	}
}

func orExit0(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// shutdown passes SIGTERM on and waits for the workers. It kills those that do
// not end in time.
func (m *Master) shutdown() error {
	m.signal(unix.SIGTERM)
	deadline := time.After(killAfter)
	var failed []string
	for len(m.running) > 0 {
		select {
		case e := <-m.exits:
			delete(m.running, e.id)
			if e.err != nil && !terminated(e.err) {
				failed = append(failed, fmt.Sprintf("worker %d: %v", e.id, e.err))
			}
		case <-deadline:
			m.signal(unix.SIGKILL)
			deadline = nil
		}
	}
	if len(failed) > 0 {
		slices.Sort(failed)
		return fmt.Errorf("not all workers ended well: %s", strings.Join(failed, "; "))
	}
	return nil
}

// terminated reports whether SIGTERM itself ended a process: the signal came
// before the worker could handle it, so there was nothing to finish.
func terminated(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == unix.SIGTERM
}

func (m *Master) signal(s unix.Signal) {
	for _, cmd := range m.running {
		// The process may have ended already.
		_ = cmd.Process.Signal(s)
	}
}

package process

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/board"
	"lapwing/cmd/refserver/config"
	"lapwing/cmd/refserver/sock"
	"lapwing/cmd/refserver/truth"
)

// Grace is how long a request in progress may take after SIGTERM.
const Grace = 5 * time.Second

// Server is a server with one process.
type Server struct {
	Listener *sock.Listener
	Board    *board.Board
	Truth    *truth.Writer
}

// MakeRoom lets this number of threads of the process run at the same time, in
// addition to Go's own. A thread that returns from a system call must wait for
// a free place in the Go scheduler, for up to 10 ms, although the kernel would
// let it run. No thread must wait for the place of another.
func MakeRoom(threads int) {
	const own = 4
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), threads+own))
}

// Start opens what a server with this number of workers needs.
func Start(cfg config.Config, workers int) (*Server, error) {
	MakeRoom(workers)
	if err := truth.Create(cfg.Truth); err != nil {
		return nil, err
	}
	listener, err := sock.Listen(cfg.Listen, cfg.Backlog)
	if err != nil {
		return nil, err
	}
	b, err := board.New(workers)
	if err != nil {
		listener.Close()
		return nil, err
	}
	w, err := truth.Open(cfg.Truth, cfg.Arch)
	if err != nil {
		listener.Close()
		return nil, err
	}
	return &Server{Listener: listener, Board: b, Truth: w}, nil
}

// Ready prints that the server is ready, and its address.
func Ready(l *sock.Listener) { fmt.Println("listening on", l.Addr()) }

// Finish completes the truth at the end of the process. The listening socket
// stays open for the kernel to close, because a thread may still be in accept.
func (s *Server) Finish() error {
	s.Listener.Remove()
	return s.Truth.Close()
}

// ExitOnSignal ends the process on SIGTERM, on SIGINT or when also is closed.
// It calls stop, which waits for requests in progress for at most Grace, then
// finish, and exits. Its error messages start with name.
func ExitOnSignal(name string, also <-chan struct{}, stop func(), finish func() error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT)
	go func() {
		select {
		case <-signals:
		case <-also:
		}
		os.Exit(end(name, stop, finish))
	}()
}

// end returns the exit status.
func end(name string, stop func(), finish func() error) int {
	stopped := make(chan struct{})
	go func() {
		stop()
		close(stopped)
	}()
	var err error
	select {
	case <-stopped:
	case <-time.After(Grace):
		err = fmt.Errorf("a request was still in progress %v after the signal", Grace)
	}
	if err = errors.Join(err, finish()); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

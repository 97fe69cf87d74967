package master

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/board"
	"lapwing/cmd/refserver/config"
	"lapwing/cmd/refserver/truth"
)

// Worker is what a worker process gets from its master.
type Worker struct {
	ID       int
	Listener int // descriptor of the listening socket
	Board    *board.Board
	Truth    *truth.Writer
	lifeline *os.File
}

// Inherit returns what the master handed down, or nil in a process that is not
// a worker.
func Inherit(cfg config.Config) (*Worker, error) {
	value, ok := os.LookupEnv(workerEnv)
	if !ok {
		return nil, nil
	}
	id, err := strconv.Atoi(value)
	if err != nil || id < 1 || id > cfg.Workers {
		return nil, fmt.Errorf("%s=%q: this variable is for worker processes only: unset it", workerEnv, value)
	}
	b, err := board.Open(os.NewFile(boardFD, "board"), cfg.Workers)
	if err != nil {
		return nil, err
	}
	w, err := truth.Open(cfg.Truth, cfg.Arch)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(listenerFD)
	return &Worker{
		ID: id, Listener: listenerFD, Board: b, Truth: w,
		lifeline: os.NewFile(lifelineFD, "lifeline"),
	}, nil
}

// ExitOnSignal ends the process on SIGTERM, SIGINT or the master's death: it
// calls stop, which waits for the request in progress, for as long as Grace
// allows, and completes the truth.
func (w *Worker) ExitOnSignal(stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT)
	orphaned := make(chan struct{})
	go func() {
		// Nobody writes: the read returns when the master is gone.
		_, _ = w.lifeline.Read(make([]byte, 1))
		close(orphaned)
	}()
	go func() {
		select {
		case <-signals:
		case <-orphaned:
		}
		w.exit(stop)
	}()
}

func (w *Worker) exit(stop func()) {
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
	if err = errors.Join(err, w.Truth.Close()); err != nil {
		fmt.Fprintf(os.Stderr, "worker %d: %v\n", w.ID, err)
		os.Exit(1)
	}
	os.Exit(0)
}

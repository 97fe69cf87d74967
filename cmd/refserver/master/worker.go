package master

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/board"
	"lapwing/cmd/refserver/config"
	"lapwing/cmd/refserver/process"
	"lapwing/cmd/refserver/truth"
)

// Worker is what a worker process inherits from its master.
type Worker struct {
	ID       int // of the process, from 1
	Listener int // descriptor of the listening socket
	Board    *board.Board
	Truth    *truth.Writer
	lifeline *os.File
	threads  int
}

// Inherit returns what the master passed on, or nil in a process that is not a
// worker.
func Inherit(cfg config.Config) (*Worker, error) {
	value, ok := os.LookupEnv(workerEnv)
	if !ok {
		return nil, nil
	}
	id, err := strconv.Atoi(value)
	if err != nil || id < 1 || id > cfg.Workers {
		return nil, fmt.Errorf("%s=%q: this variable is for worker processes only: unset it", workerEnv, value)
	}
	b, err := board.Open(os.NewFile(boardFD, "board"), cfg.Slots())
	if err != nil {
		return nil, err
	}
	w, err := truth.Open(cfg.Truth, cfg.Arch)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(listenerFD)
	return &Worker{
		ID: id, threads: cfg.Threads, Listener: listenerFD, Board: b, Truth: w,
		lifeline: os.NewFile(lifelineFD, "lifeline"),
	}, nil
}

// SlotID returns the id of a thread of the process among all processes. thread
// and the ids start at 1.
func (w *Worker) SlotID(thread int) int { return (w.ID-1)*w.threads + thread }

// ExitOnSignal ends the process on SIGTERM, SIGINT or the death of the master.
// It calls stop, which waits for requests in progress.
func (w *Worker) ExitOnSignal(stop func()) {
	orphaned := make(chan struct{})
	go func() {
		// No process writes: the read returns when the master is gone.
		_, _ = w.lifeline.Read(make([]byte, 1))
		close(orphaned)
	}()
	process.ExitOnSignal(fmt.Sprint("worker ", w.ID), orphaned, stop, w.Truth.Close)
}

// Fail ends the process because of err.
func (w *Worker) Fail(err error) {
	fmt.Fprintf(os.Stderr, "worker %d: %v\n", w.ID, errors.Join(err, w.Truth.Close()))
	os.Exit(1)
}

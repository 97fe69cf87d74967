package threaded

import (
	"errors"

	"lapwing/cmd/refserver/app"
	"lapwing/cmd/refserver/blocking"
	"lapwing/cmd/refserver/clock"
	"lapwing/cmd/refserver/config"
	"lapwing/cmd/refserver/httpio"
	"lapwing/cmd/refserver/process"
	"lapwing/cmd/refserver/sock"

	"golang.org/x/sys/unix"
)

// queueLength is the number of accepted connections that can wait for a worker.
const queueLength = 1024

// Run serves until SIGTERM or SIGINT. The calling thread, which must be locked
// to its goroutine, is the acceptor.
func Run(cfg config.Config) error {
	s, err := process.Start(cfg, cfg.Workers)
	if err != nil {
		return err
	}
	queue := make(chan blocking.Source, queueLength)
	workers := start(cfg, s, queue)
	process.ExitOnSignal("refserver", nil, func() {
		for _, w := range workers {
			w.Stop()
		}
	}, s.Finish)
	process.Ready(s.Listener)
	acceptor := unix.Gettid()
	for {
		conn, err := sock.Accept(s.Listener.FD)
		if err != nil {
			return errors.Join(err, s.Finish())
		}
		queue <- blocking.Source{Conn: conn, AcceptorTID: acceptor}
	}
}

// start starts the worker threads and returns when all are ready.
func start(cfg config.Config, s *process.Server, queue <-chan blocking.Source) []*blocking.Worker {
	application := app.New(cfg.Arch, s.Board)
	workers := make([]*blocking.Worker, cfg.Workers)
	ready := make(chan struct{})
	for i := range workers {
		w := &blocking.Worker{
			ID:        i + 1,
			KeepAlive: cfg.KeepAlive,
			App:       application,
			Slot:      s.Board.Slot(i + 1),
			Log:       s.Truth.NewLog(),
			Codec:     httpio.NewHTTP(),
		}
		workers[i] = w
		go func() {
			w.Bind()
			ready <- struct{}{}
			work(w, queue)
		}()
	}
	for range workers {
		<-ready
	}
	return workers
}

func work(w *blocking.Worker, queue <-chan blocking.Source) {
	for src := range queue {
		src.Handover = clock.Now()
		w.Serve(src)
	}
}

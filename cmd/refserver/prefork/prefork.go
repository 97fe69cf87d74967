package prefork

import (
	"errors"

	"lapwing/cmd/refserver/app"
	"lapwing/cmd/refserver/blocking"
	"lapwing/cmd/refserver/config"
	"lapwing/cmd/refserver/httpio"
	"lapwing/cmd/refserver/master"
	"lapwing/cmd/refserver/process"
	"lapwing/cmd/refserver/sock"
)

// Run serves HTTP until SIGTERM or SIGINT.
func Run(cfg config.Config) error { return RunCodec(cfg, httpio.NewHTTP) }

// RunCodec serves the protocol of a codec until SIGTERM or SIGINT. It is the
// master, or one of its workers in a process that a master started. The calling
// thread must be locked to its goroutine.
func RunCodec(cfg config.Config, newCodec func() httpio.Codec) error {
	inherited, err := master.Inherit(cfg)
	if err != nil {
		return err
	}
	if inherited == nil {
		return master.Run(cfg)
	}
	return work(cfg, inherited, newCodec)
}

// work is a worker process. Its first thread, whose id is the process id,
// serves as well.
func work(cfg config.Config, m *master.Worker, newCodec func() httpio.Codec) error {
	process.MakeRoom(cfg.Threads)
	application := app.New(cfg.Arch, m.Board)
	workers := make([]*blocking.Worker, cfg.Threads)
	for i := range workers {
		id := m.SlotID(i + 1)
		workers[i] = &blocking.Worker{
			ID:        id,
			KeepAlive: cfg.KeepAlive,
			App:       application,
			Slot:      m.Board.Slot(id),
			Log:       m.Truth.NewLog(),
			Codec:     newCodec(),
		}
	}
	m.ExitOnSignal(func() {
		for _, w := range workers {
			w.Stop()
		}
	})
	for _, w := range workers[1:] {
		go func() { m.Fail(accept(m.Listener, w)) }()
	}
	return errors.Join(accept(m.Listener, workers[0]), m.Truth.Close())
}

// accept serves one connection after the other.
func accept(listener int, w *blocking.Worker) error {
	w.Bind()
	for {
		conn, err := sock.Accept(listener)
		if err != nil {
			return err
		}
		w.Serve(blocking.Source{Conn: conn, AcceptorTID: w.TID()})
	}
}

package prefork

import (
	"errors"

	"lapwing/cmd/refserver/app"
	"lapwing/cmd/refserver/blocking"
	"lapwing/cmd/refserver/config"
	"lapwing/cmd/refserver/httpio"
	"lapwing/cmd/refserver/master"
	"lapwing/cmd/refserver/sock"
)

// Run serves until SIGTERM or SIGINT: as the master, or, in a process that a
// master started, as one of its workers.
func Run(cfg config.Config) error {
	inherited, err := master.Inherit(cfg)
	if err != nil {
		return err
	}
	if inherited == nil {
		return master.Run(cfg)
	}
	return work(cfg, inherited)
}

// work is a worker process. It accepts on the process's first thread, the one
// whose id is the process id.
func work(cfg config.Config, m *master.Worker) error {
	w := &blocking.Worker{
		ID:        m.ID,
		KeepAlive: cfg.KeepAlive,
		App:       app.New(cfg.Arch, m.Board),
		Slot:      m.Board.Slot(m.ID),
		Log:       m.Truth.NewLog(),
		Codec:     httpio.NewHTTP(),
	}
	w.Bind()
	m.ExitOnSignal(w.Stop)
	for {
		conn, err := sock.Accept(m.Listener)
		if err != nil {
			return errors.Join(err, m.Truth.Close())
		}
		w.Serve(blocking.Source{Conn: conn, AcceptorTID: w.TID()})
	}
}

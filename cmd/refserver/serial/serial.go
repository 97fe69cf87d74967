package serial

import (
	"errors"

	"lapwing/cmd/refserver/app"
	"lapwing/cmd/refserver/blocking"
	"lapwing/cmd/refserver/config"
	"lapwing/cmd/refserver/httpio"
	"lapwing/cmd/refserver/process"
	"lapwing/cmd/refserver/sock"
)

// Run serves until SIGTERM or SIGINT. It never keeps connections alive,
// whatever the configuration says.
func Run(cfg config.Config) error {
	s, err := process.Start(cfg, 1)
	if err != nil {
		return err
	}
	w := &blocking.Worker{
		ID:          1,
		App:         app.New(cfg.Arch, s.Board),
		Slot:        s.Board.Slot(1),
		Log:         s.Truth.NewLog(),
		Codec:       httpio.NewHTTP(),
		SplitWrites: true,
		HalfClose:   true,
	}
	w.Bind()
	process.ExitOnSignal("refserver", nil, w.Stop, s.Finish)
	process.Ready(s.Listener)
	for {
		conn, err := sock.Accept(s.Listener.FD)
		if err != nil {
			return errors.Join(err, s.Finish())
		}
		w.Serve(blocking.Source{Conn: conn, AcceptorTID: w.TID()})
	}
}

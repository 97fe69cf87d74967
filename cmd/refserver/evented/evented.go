package evented

import (
	"errors"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/app"
	"lapwing/cmd/refserver/clock"
	"lapwing/cmd/refserver/config"
	"lapwing/cmd/refserver/event"
	"lapwing/cmd/refserver/httpio"
	"lapwing/cmd/refserver/master"
	"lapwing/cmd/refserver/nonblock"
)

// Run serves until SIGTERM or SIGINT. It is the master, or one of its workers
// in a process that a master started.
func Run(cfg config.Config) error {
	cfg.Threads = 1
	inherited, err := master.Inherit(cfg)
	if err != nil {
		return err
	}
	if inherited == nil {
		return master.Run(cfg)
	}
	return work(cfg, inherited)
}

func work(cfg config.Config, m *master.Worker) error {
	loop, err := event.New()
	if err != nil {
		return err
	}
	w := &worker{app: app.New(cfg.Arch, m.Board), loop: loop}
	slot := m.Board.Slot(m.ID)
	server := &nonblock.Server{
		Loop: loop, Listener: m.Listener, Worker: m.ID, KeepAlive: cfg.KeepAlive,
		NewCodec: httpio.NewHTTP, Log: m.Truth.NewLog(), Slot: slot, Serve: w.serve,
	}
	if err := server.Start(); err != nil {
		return err
	}
	m.ExitOnSignal(server.Stop)
	slot.Start(unix.Gettid())
	return errors.Join(loop.Run(), m.Truth.Close())
}

type worker struct {
	app  *app.App
	loop *event.Loop
}

// serve runs the application on the thread of the loop.
func (w *worker) serve(c *nonblock.Conn) {
	head := c.Codec().Head()
	request := app.Request{
		Method: head.Method, Path: head.Path, Query: head.Query,
		ID: head.ID(), BodySize: c.Codec().BodySize(),
	}
	c.Respond(&c.Out)
	c.Rec.AppEnter = clock.Now()
	pending := app.Serve(w.app, &c.Response, &request)
	c.Rec.Route = request.Route
	w.goOn(c, pending)
}

// goOn ends the response, or continues it later: when the application wants to
// continue and the client has received everything written so far.
func (w *worker) goOn(c *nonblock.Conn, pending app.Pending) {
	if pending.Then == nil {
		c.Rec.AppLeave = clock.Now()
		c.Done()
		return
	}
	c.Response.Flush()
	w.loop.After(pending.After, func() {
		c.WhenSent(func() { w.goOn(c, pending.Then(&c.Response)) })
		c.Resume()
	})
}

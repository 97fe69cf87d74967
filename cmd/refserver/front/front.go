package front

import (
	"bytes"
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

// maxBuffered is the longest request body in bytes. Bodies are kept in memory
// until they are complete.
const maxBuffered = 64 << 20

// Run serves until SIGTERM or SIGINT. It is the master, or one of its workers
// in a process that a master started.
func Run(cfg config.Config) error {
	cfg.Threads = 1
	up, err := parseUpstream(cfg.Upstream)
	if err != nil {
		return err
	}
	inherited, err := master.Inherit(cfg)
	if err != nil {
		return err
	}
	if inherited == nil {
		return master.Run(cfg)
	}
	return work(cfg, inherited, up)
}

func work(cfg config.Config, m *master.Worker, up upstream) error {
	loop, err := event.New()
	if err != nil {
		return err
	}
	w := &worker{app: app.New(cfg.Arch, m.Board), loop: loop, upstream: up}
	slot := m.Board.Slot(m.ID)
	server := &nonblock.Server{
		Loop: loop, Listener: m.Listener, Worker: m.ID, KeepAlive: cfg.KeepAlive,
		NewCodec: newBuffering, Log: m.Truth.NewLog(), Slot: slot, Serve: w.serve,
	}
	if err := server.Start(); err != nil {
		return err
	}
	m.ExitOnSignal(server.Stop)
	slot.Start(unix.Gettid())
	return errors.Join(loop.Run(), m.Truth.Close())
}

// buffering is the HTTP codec, which also keeps the body of the request.
type buffering struct {
	httpio.HTTP
	body []byte
}

func newBuffering() httpio.Codec {
	c := new(buffering)
	c.OnBody = func(p []byte) error {
		if len(c.body)+len(p) > maxBuffered {
			return &httpio.Error{Status: 413, Reason: "the request body is longer than 64 MiB"}
		}
		c.body = append(c.body, p...)
		return nil
	}
	return c
}

// Reset implements httpio.Codec.
func (c *buffering) Reset() {
	c.HTTP.Reset()
	c.body = nil
}

type worker struct {
	app      *app.App
	loop     *event.Loop
	upstream upstream
}

// serve responds to a complete request, itself or through the upstream server.
func (w *worker) serve(c *nonblock.Conn) {
	head := c.Codec().Head()
	c.Respond(&c.Out)
	c.Rec.AppEnter = clock.Now()
	switch string(head.Path) {
	case "/file", "/workers":
		request := app.Request{Method: head.Method, Path: head.Path, Query: head.Query, ID: head.ID()}
		app.Serve(w.app, &c.Response, &request) // none of these two routes pauses
		c.Rec.Route, c.Rec.AppLeave = request.Route, clock.Now()
		c.Done()
		return
	}
	c.Rec.Route = "proxy"
	newExchange(w, c).start()
}

// target returns the request target for the upstream server.
func target(head *httpio.Head) []byte {
	if rest, ok := bytes.CutPrefix(head.Target, []byte("/upstream/")); ok {
		return append([]byte{'/'}, rest...)
	}
	return head.Target
}

package reader

import (
	"errors"
	"runtime"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/app"
	"lapwing/cmd/refserver/board"
	"lapwing/cmd/refserver/clock"
	"lapwing/cmd/refserver/config"
	"lapwing/cmd/refserver/event"
	"lapwing/cmd/refserver/httpio"
	"lapwing/cmd/refserver/nonblock"
	"lapwing/cmd/refserver/process"
	"lapwing/cmd/refserver/sock"
)

// task is a complete request on its way to a worker and back.
type task struct {
	conn    *nonblock.Conn
	request app.Request
	stream  sock.Stream
}

// Run serves until SIGTERM or SIGINT. The calling thread, which must be locked
// to its goroutine, accepts and reads.
func Run(cfg config.Config) error {
	s, err := process.Start(cfg, cfg.Workers)
	if err != nil {
		return err
	}
	loop, err := event.New()
	if err != nil {
		return errors.Join(err, s.Finish())
	}
	// A connection has at most one request in progress, so the queue cannot be
	// full.
	queue := make(chan *task, nonblock.MaxConns)
	start(cfg, s, loop, queue)
	server := &nonblock.Server{
		Loop: loop, Listener: s.Listener.FD, KeepAlive: cfg.KeepAlive,
		NewCodec: httpio.NewHTTP, Log: s.Truth.NewLog(),
		Serve: func(c *nonblock.Conn) { queue <- newTask(c) },
	}
	if err := server.Start(); err != nil {
		return errors.Join(err, s.Finish())
	}
	process.ExitOnSignal("refserver", nil, server.Stop, s.Finish)
	process.Ready(s.Listener)
	return errors.Join(loop.Run(), s.Finish())
}

func newTask(c *nonblock.Conn) *task {
	head := c.Codec().Head()
	t := &task{
		conn: c,
		request: app.Request{
			Method: head.Method, Path: head.Path, Query: head.Query,
			ID: head.ID(), BodySize: c.Codec().BodySize(),
		},
		stream: sock.Stream{FD: c.FD, Nonblocking: true},
	}
	c.Respond(&t.stream)
	return t
}

// worker is a thread that computes and writes.
type worker struct {
	id    int
	tid   int
	app   *app.App
	slot  *board.Slot
	loop  *event.Loop
	queue <-chan *task
}

// start starts the worker threads and returns when all are ready.
func start(cfg config.Config, s *process.Server, loop *event.Loop, queue <-chan *task) {
	application := app.New(cfg.Arch, s.Board)
	ready := make(chan struct{})
	for id := 1; id <= cfg.Workers; id++ {
		w := &worker{id: id, app: application, slot: s.Board.Slot(id), loop: loop, queue: queue}
		go func() {
			runtime.LockOSThread()
			w.tid = unix.Gettid()
			w.slot.Start(w.tid)
			ready <- struct{}{}
			w.run()
		}()
	}
	for range cfg.Workers {
		<-ready
	}
}

func (w *worker) run() {
	for t := range w.queue {
		now := clock.Now()
		w.slot.Busy(now)
		t.conn.Rec.Handover, t.conn.Rec.Worker, t.conn.Rec.TID = now, w.id, w.tid
		w.serve(t)
		w.slot.Served()
		w.slot.Available()
		w.loop.Post(func() {
			t.conn.Done()
			t.conn.Resume()
		})
	}
}

// serve calls the application and writes the whole response.
func (w *worker) serve(t *task) {
	rec, response := &t.conn.Rec, &t.conn.Response
	rec.AppEnter = clock.Now()
	pending := app.Serve(w.app, response, &t.request)
	for pending.Then != nil {
		response.Flush()
		clock.Sleep(pending.After)
		pending = pending.Then(response)
	}
	rec.AppLeave, rec.Route = clock.Now(), t.request.Route
	// A failure is reported by Err of the response, when the connection is
	// done.
	_ = response.Finish()
	rec.WriteEnter, rec.WriteLeave, rec.ResponseBytes = t.stream.Entered, t.stream.Left, t.stream.Sent
}

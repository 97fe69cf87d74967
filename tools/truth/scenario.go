package main

import (
	"runtime"
	"time"

	"lapwing/tools/load"
)

// scenario is what each client does.
type scenario struct {
	name   string
	script load.Script
	// each is the number of requests of one client.
	each int
	// takes is about how long a client occupies a worker.
	takes time.Duration
	// computes means that the time is CPU time.
	computes bool
	// serial means that a process handles one request at a time.
	serial bool
	// reuses means that a connection carries several requests.
	reuses bool
	// hop is how the front end reaches its daemon; the zero hop is the usual
	// one.
	hop hop
}

// hop is a way from a front end to its daemon.
type hop struct{ protocol, transport string }

var usualHop = hop{"http", transportUnix}

const (
	transportUnix = "unix"
	transportTCP  = "tcp"
)

var scenarios = append([]scenario{
	{name: "fast", script: load.Once("/fast"), each: 1, takes: time.Millisecond},
	{name: "sleep", script: load.Once("/sleep?ms=10"), each: 1, takes: 10 * time.Millisecond},
	{name: "cpu", script: load.Once("/cpu?ms=3"), each: 1, takes: 3 * time.Millisecond, computes: true},
	{name: "lock", script: load.Once("/lock?ms=3"), each: 1, takes: 3 * time.Millisecond, computes: true, serial: true},
	{name: "upload", script: load.SlowUpload("/upload", 20<<10, 5, 4*time.Millisecond), each: 1, takes: 18 * time.Millisecond},
	{name: "bigread", script: load.SlowReader("/big?kb=5120", 64<<10, 64<<10, 500*time.Microsecond), each: 1, takes: 60 * time.Millisecond},
	{name: "stream", script: load.Once("/stream?chunks=5&ms=4"), each: 1, takes: 17 * time.Millisecond},
	{name: "keepalive", script: load.KeepAlive("/sleep?ms=2", 4, 4*time.Millisecond), each: 4, takes: 22 * time.Millisecond, reuses: true},
	{name: "pipelining", script: load.Pipelined("/sleep?ms=2", 4), each: 4, takes: 9 * time.Millisecond, reuses: true},
}, hops()...)

// hops returns the ways from front end to daemon. All protocols are alike over
// TCP, so one of them, and HTTP, stand for all.
func hops() (list []scenario) {
	for _, h := range []hop{
		{"http", transportUnix}, {"http", transportTCP},
		{"fastcgi", transportUnix}, {"fastcgi", transportTCP},
		{"uwsgi", transportUnix}, {"scgi", transportUnix},
	} {
		list = append(list, scenario{
			name: h.protocol + "-" + h.transport, hop: h,
			script: load.Once("/sleep?ms=5"), each: 1, takes: 5 * time.Millisecond,
		})
	}
	return list
}

// when returns the timetable of the clients: a burst of clients, and the next
// burst when the server must have finished the last one.
func (c combination) when(workers, requests int) load.Bursts {
	if c.arch.single {
		workers = 1
	}
	size := c.load.clients(workers)
	clients := (requests + c.scenario.each - 1) / c.scenario.each
	rounds := (size + c.atOnce(workers) - 1) / c.atOnce(workers)
	bursts := (clients + size - 1) / size
	const spare = 2 * time.Millisecond
	return load.Bursts{
		Size:    size,
		Every:   time.Duration(rounds)*c.scenario.takes*13/10 + spare,
		Clients: bursts * size,
	}
}

// atOnce returns how many clients the server can serve at the same time.
func (c combination) atOnce(workers int) int {
	switch {
	case c.scenario.serial || c.arch.blocking:
		return 1
	case c.scenario.computes:
		return min(workers, max(runtime.NumCPU()-1, 1)) // see favoured
	}
	return workers
}

package servers

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"lapwing/agent/e2e/harness"
)

// server is one row: how to start it, and what its own account of the requests
// means in the agent's terms.
type server struct {
	name    string
	service string  // as the agent must name it
	needs   []need  // what must be installed for it
	workers int     // requests that it serves at once; there are twice as many clients
	waits   waiting // where requests wait when all workers are busy
	threads threads // which threads run the application
	closes  bool    // the clients request a new connection for each request
	marked  bool    // the agent sees the call of the application
	files   []file  // to write before it starts
	command func(at place) *exec.Cmd
	adds    []string // arguments at the end of the command

	// path returns the path of the i-th request of a run; nil means that of the
	// test application.
	path   func(run string, i int) string
	behind func(at place) *exec.Cmd // the server that it passes requests on to, at the socket "behind"
	logs   []*serverLog             // the server's own logs
	flush  syscall.Signal           // makes it write its logs
	// limits describes, for the documentation, what the agent cannot
	// distinguish here.
	limits string
}

// waiting is where requests wait in a server.
type waiting string

const (
	inBacklog waiting = "listen backlog" // queue, the part backlog
	unread    waiting = "accepted"       // queue, the part dispatch
	inServer  waiting = "server"         // already read: counts as app, because the agent cannot distinguish it
	// A blocked loop reads everything that arrived meanwhile before it
	// continues.
	unreadOrServer waiting = "accepted, then server"
	nowhere        waiting = "nowhere" // each request is served at once
)

// threads is the relation between the thread that reads a request and the one
// that runs the application.
type threads string

const (
	sameThread   threads = "same thread"
	otherThread  threads = "other thread"
	otherProcess threads = "other process"
	noApp        threads = "" // there is no application
)

// file is written into the directory of a server. @DIR@, @ADDRESS@, @HOST@ and
// @PORT@ in its content are replaced.
type file struct{ name, content string }

// place is where a server runs.
type place struct{ dir, address string }

func (p place) split() (host string, port int) {
	a := netip.MustParseAddrPort(p.address)
	return a.Addr().String(), int(a.Port())
}

func (p place) file(name string) string { return filepath.Join(p.dir, name) }

// serverLog is a log that the server itself keeps.
type serverLog struct {
	file  string
	parse func(line string) (logged, error)
	// took returns the time in the agent's record that the logged time must
	// equal. Their medians must agree within the tolerance.
	took   func(r harness.Record) time.Duration
	within time.Duration
	// means describes in the agent's terms what the server measures.
	means string
}

// logged is one request in the server's own log.
type logged struct {
	path   string
	status int
	took   time.Duration
}

// fields parses a line of path, status and time. unit is the unit of the time.
func fields(unit time.Duration) func(line string) (logged, error) {
	return func(line string) (l logged, err error) {
		var took float64
		if _, err = fmt.Sscan(line, &l.path, &l.status, &took); err != nil {
			return l, fmt.Errorf("log line %q: %w", line, err)
		}
		l.took = time.Duration(took * float64(unit))
		return l, nil
	}
}

// The times of a record that servers measure.
var (
	// fromRead starts when the server has read the first byte.
	fromRead = func(r harness.Record) time.Duration { return sum(r.Parse, r.App, r.WriteBack) }
	// fromAccept starts when the connection was accepted.
	fromAccept = func(r harness.Record) time.Duration { return sum(r.Dispatch, r.Parse, r.App, r.WriteBack) }
	// fromParsed starts when the request was read.
	fromParsed = func(r harness.Record) time.Duration { return sum(r.App, r.WriteBack) }
	justParse  = func(r harness.Record) time.Duration { return sum(r.Parse) }
	justApp    = func(r harness.Record) time.Duration { return sum(r.App) }
)

func sum(parts ...*int64) (d time.Duration) {
	for _, p := range parts {
		if p != nil {
			d += time.Duration(*p)
		}
	}
	return d
}

// requests is the number of requests to a server per plan.
const requests = 200

// applicationPath makes the application work for 10, 20 or 30 ms, and respond
// to some requests with 404 or 500.
func applicationPath(run string, i int) string { return workPath(10, run, i) }

// quickPath is the same with 4, 8 or 12 ms, for servers that serve one request
// at a time.
func quickPath(run string, i int) string { return workPath(4, run, i) }

func workPath(ms int, run string, i int) string {
	status := 200
	switch i % 10 {
	case 3:
		status = 404
	case 7:
		status = 500
	}
	return "/work/" + strconv.Itoa(ms+ms*(i%3)) + "/" + strconv.Itoa(status) + "/" + run + "-" + strconv.Itoa(i)
}

// staticPath requests a file under many names, some of which do not exist.
func staticPath(run string, i int) string {
	kind := "static"
	if i%10 == 3 {
		kind = "missing"
	}
	return "/" + kind + "/" + run + "-" + strconv.Itoa(i)
}

func (s server) asks(run string, i int) string {
	if s.path == nil {
		return applicationPath(run, i)
	}
	return s.path(run, i)
}

// halting reports whether the request is sent in two pieces, with a pause
// between them.
func halting(i int) bool { return i%8 == 5 }

// pause is how long a client pauses in the middle of its request.
const pause = 15 * time.Millisecond

func allServers() []server {
	return slices.Concat(pythonServers(), uwsgiServers(), apacheServers(), staticServers())
}

package app

import (
	"slices"
	"strings"
	"sync"
	"time"

	"lapwing/cmd/refserver/board"
)

// Request is what the application gets to know of a request. The byte slices
// are valid only until the response is finished.
type Request struct {
	Method   string
	Path     []byte
	Query    []byte
	ID       []byte // chosen by the client, may be empty
	BodySize int64  // bytes of content; the server has read the body

	// Route is set by the application: the route that served the request,
	// empty when none did.
	Route string
}

// Field is one more header of a response.
type Field struct{ Name, Value string }

// Writer takes one response. Errors are kept: after the first, writes do
// nothing.
type Writer interface {
	// Start begins the response. A length of −1 means that it is not known.
	Start(status int, contentType string, length int64, extra ...Field)
	// Write adds to the content. The bytes are no longer used when it returned.
	Write(p []byte)
	// SendFile adds n bytes from the beginning of a file.
	SendFile(fd int, n int64)
	// Err is the first error in sending; the client is gone then.
	Err() error
}

// Pending is the rest of a response: Then, to be called when After has passed.
// What was written so far is sent before. A nil Then ends the response.
type Pending struct {
	After time.Duration
	Then  func(Writer) Pending
}

// App is the application's state, one per process.
type App struct {
	arch  string
	board *board.Board
	files fileStore
	// interpreter is the process-wide lock of /lock.
	interpreter sync.Mutex
}

// New returns the application of one process. /workers answers from b.
func New(arch string, b *board.Board) *App { return &App{arch: arch, board: b} }

type handler func(*App, Writer, *Request) Pending

type route struct {
	name    string
	methods []string
	handle  handler
}

var routes = map[string]*route{}

func init() {
	read := []string{"GET", "HEAD"}
	for _, r := range []*route{
		{"/fast", read, (*App).fast},
		{"/sleep", read, (*App).sleep},
		{"/cpu", read, (*App).cpu},
		{"/lock", read, (*App).lock},
		{"/big", read, (*App).big},
		{"/stream", read, (*App).stream},
		{"/file", read, (*App).file},
		{"/upload", []string{"POST", "PUT"}, (*App).upload},
		{"/downstream", read, (*App).downstream},
		{"/poll", read, (*App).poll},
		{"/workers", read, (*App).workers},
	} {
		routes[r.name] = r
	}
}

// Serve is the call into the application: servers make it through this symbol
// alone, so that a uprobe on it marks the exact moment. It must stay exported,
// not inlined and named as it is.
//
//go:noinline
func Serve(a *App, w Writer, r *Request) Pending {
	rt := routes[string(r.Path)]
	if rt == nil {
		return text(w, 404, "there is no such route; routes are /fast, /sleep, /cpu, /lock, /big, /stream, /file, /upload, /downstream, /poll and /workers\n")
	}
	r.Route = rt.name
	if !slices.Contains(rt.methods, r.Method) {
		allowed := strings.Join(rt.methods, ", ")
		return text(w, 405, rt.name+" takes "+allowed+"\n", Field{"Allow", allowed})
	}
	return rt.handle(a, w, r)
}

// text answers with a short text. It is a handler's last call.
func text(w Writer, status int, body string, extra ...Field) Pending {
	w.Start(status, "text/plain", int64(len(body)), extra...)
	w.Write([]byte(body))
	return Pending{}
}

func (a *App) fast(w Writer, _ *Request) Pending { return text(w, 200, "fast\n") }

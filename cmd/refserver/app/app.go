package app

import (
	"slices"
	"strings"
	"sync"
	"time"

	"lapwing/cmd/refserver/board"
)

// Request is the part of a request that the application sees. The byte slices
// are only valid until the response is finished.
type Request struct {
	Method   string
	Path     []byte
	Query    []byte
	ID       []byte // set by the client; may be empty
	BodySize int64  // bytes of content; the server has read the body

	// Route is set by the application to the route that served the request. It
	// is empty if there was none.
	Route string
}

// Field is an additional header of a response.
type Field struct{ Name, Value string }

// Writer receives one response. It keeps the first error. After an error,
// writes do nothing.
type Writer interface {
	// Start starts the response. A length of −1 means that it is not known.
	Start(status int, contentType string, length int64, extra ...Field)
	// Write adds to the content. The bytes are no longer used after it
	// returned.
	Write(p []byte)
	// SendFile adds n bytes from the start of a file.
	SendFile(fd int, n int64)
	// Err returns the first error in sending. After it, the client is gone.
	Err() error
}

// Pending is the rest of a response. After the duration After has passed, Then
// is called. What was written so far is sent before that. A nil Then ends the
// response.
type Pending struct {
	After time.Duration
	Then  func(Writer) Pending
}

// App is the state of the application, one per process.
type App struct {
	arch  string
	board *board.Board
	files fileStore
	// interpreter is the lock of /lock for the whole process.
	interpreter sync.Mutex
}

// New returns the application of one process. b has the workers for /workers.
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

// Serve calls the application. Servers only call it through this function, so
// that a uprobe on its symbol marks the exact time. It must stay exported, keep
// its name and not be inlined.
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

// text sends a short text as the response. A handler calls it last.
func text(w Writer, status int, body string, extra ...Field) Pending {
	w.Start(status, "text/plain", int64(len(body)), extra...)
	w.Write([]byte(body))
	return Pending{}
}

func (a *App) fast(w Writer, _ *Request) Pending { return text(w, 200, "fast\n") }

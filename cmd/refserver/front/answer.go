package front

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/textproto"
	"strconv"
	"strings"

	"lapwing/cmd/refserver/app"
	"lapwing/cmd/refserver/gateway"
	"lapwing/cmd/refserver/httpio"
)

// errUpstream means that the upstream server sent something that is not a
// response.
var errUpstream = errors.New("the upstream server's response is malformed")

// unwrapper turns the bytes of an upstream connection into a response head and
// its content.
type unwrapper interface {
	// next takes bytes from the start of p. It returns how many it used, and
	// the bytes of head or content among them.
	next(p []byte) (used int, content []byte, err error)
	// ended reports whether the response is over according to the protocol.
	ended() bool
	// statusLine reports whether the head starts with an HTTP status line.
	statusLine() bool
}

// plain is a response that ends with the connection.
type plain struct{ http bool }

func newPlainHTTP() unwrapper { return plain{http: true} }
func newPlainCGI() unwrapper  { return plain{} }

func (plain) next(p []byte) (int, []byte, error) { return len(p), p, nil }
func (plain) ended() bool                        { return false }
func (u plain) statusLine() bool                 { return u.http }

// wrapped is a response in FastCGI records.
type wrapped struct{ out gateway.Output }

func newFastCGI() unwrapper { return new(wrapped) }

func (u *wrapped) next(p []byte) (int, []byte, error) { return u.out.Next(p) }
func (u *wrapped) ended() bool                        { return u.out.Ended() }
func (u *wrapped) statusLine() bool                   { return false }

// answer parses a response as it arrives and passes it on.
type answer struct {
	unwrapper
	in    []byte // bytes of the connection that were not used yet
	head  []byte // the head, until it is complete
	begun bool   // the head was passed on
	left  int64  // bytes of content left according to the head; −1 if unknown

	noBody bool // the request was HEAD
}

// feed parses bytes of the upstream connection. It reports whether the response
// is complete.
func (a *answer) feed(p []byte, w *httpio.Response) (done bool, err error) {
	a.in = append(a.in, p...)
	rest := a.in
	for len(rest) > 0 && !a.ended() {
		used, content, err := a.next(rest)
		if err != nil {
			return false, fmt.Errorf("%w: %w", errUpstream, err)
		}
		if used == 0 {
			break
		}
		rest = rest[used:]
		if err := a.pass(content, w); err != nil {
			return false, err
		}
	}
	a.in = append(a.in[:0], rest...)
	return a.begun && (a.ended() || a.left == 0), nil
}

// pass passes on bytes of head or content.
func (a *answer) pass(p []byte, w *httpio.Response) error {
	if !a.begun {
		a.head = append(a.head, p...)
		end := bytes.Index(a.head, []byte("\r\n\r\n"))
		switch {
		case end < 0 && len(a.head) > httpio.MaxHead:
			return fmt.Errorf("%w: its head is longer than %d bytes", errUpstream, httpio.MaxHead)
		case end < 0:
			return nil
		}
		end += len("\r\n\r\n")
		if err := a.begin(a.head[:end], w); err != nil {
			return err
		}
		p = a.head[end:]
	}
	if a.left >= 0 {
		p = p[:min(int64(len(p)), a.left)]
		a.left -= int64(len(p))
	}
	w.Write(p)
	return nil
}

// begin passes the head on.
func (a *answer) begin(head []byte, w *httpio.Response) error {
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(head)))
	status := ""
	if a.statusLine() {
		line, err := r.ReadLine()
		version, rest, ok := strings.Cut(line, " ")
		if err != nil || !ok || !strings.HasPrefix(version, "HTTP/1.") {
			return fmt.Errorf("%w: its first line is %q", errUpstream, line)
		}
		status = rest
	}
	fields, err := r.ReadMIMEHeader()
	if err != nil {
		return fmt.Errorf("%w: %w", errUpstream, err)
	}
	if !a.statusLine() {
		status = fields.Get("Status")
	}
	code, err := statusCode(status)
	if err != nil {
		return err
	}
	if a.left, err = contentLength(fields); err != nil {
		return err
	}
	w.Start(code, fields.Get("Content-Type"), a.left, passed(fields)...)
	a.begun = true
	if a.noBody || httpio.NoContent(code) {
		a.left = 0
	}
	return nil
}

// statusCode returns the number at the start of "404 Not Found". A CGI response
// without a status has status 200.
func statusCode(status string) (int, error) {
	if status == "" {
		return 200, nil
	}
	digits, _, _ := strings.Cut(status, " ")
	code, err := strconv.Atoi(digits)
	if err != nil || code < 200 || code > 599 {
		return 0, fmt.Errorf("%w: its status is %q", errUpstream, status)
	}
	return code, nil
}

func contentLength(fields textproto.MIMEHeader) (int64, error) {
	value := fields.Get("Content-Length")
	if value == "" {
		return -1, nil
	}
	n, ok := httpio.ParseDigits([]byte(value))
	if !ok {
		return 0, fmt.Errorf("%w: its Content-Length is %q", errUpstream, value)
	}
	return n, nil
}

// passed returns the headers that a front end passes on in addition to those
// that every response gets.
func passed(fields textproto.MIMEHeader) []app.Field {
	var list []app.Field
	for name, values := range fields {
		switch name {
		case "Status", "Server", "Connection", "Keep-Alive", "Content-Type", "Content-Length", "Transfer-Encoding":
			continue
		}
		for _, v := range values {
			list = append(list, app.Field{Name: name, Value: v})
		}
	}
	return list
}

package httpio

import (
	"net/http"
	"strconv"

	"lapwing/cmd/refserver/app"
)

// Continue is the interim response that asks for the body.
const Continue = "HTTP/1.1 100 Continue\r\n\r\n"

// gather is the size in bytes up to which a response is collected and sent in
// one write.
const gather = 16 << 10

// Sink receives the bytes of responses.
type Sink interface {
	// Send sends head, then body, with one system call if possible. Either may
	// be empty. The bytes are no longer used after it returned.
	Send(head, body []byte) error
	// SendFile sends n bytes of the file, starting at offset.
	SendFile(fd int, offset, n int64) error
}

// Finisher is a Sink that has to add something at the end of a response.
type Finisher interface {
	// Finish sends the last bytes of a response and ends it.
	Finish(rest []byte) error
}

// Response frames one response after the other as HTTP/1, or as CGI, and passes
// it to a Sink.
type Response struct {
	// SplitWrites sends head and body with separate calls. Reset clears it.
	SplitWrites bool

	sink Sink
	buf  []byte

	status    int
	minor     int
	cgi       bool
	keepAlive bool
	noBody    bool // the response to HEAD
	chunked   bool
	finished  bool
	counted   bool  // the length of the content was announced
	left      int64 // if counted: bytes of content that are not written yet
	err       error
}

var _ app.Writer = (*Response)(nil)

// Reset prepares for the response to h. If keepAlive is false, the response
// announces that the connection closes.
func (w *Response) Reset(sink Sink, h *Head, keepAlive bool) {
	*w = Response{sink: sink, buf: w.buf[:0], minor: h.Minor, noBody: h.Method == "HEAD", keepAlive: keepAlive}
}

// ResetCGI is like Reset, for gateway protocols: the response has no status
// line, and the protocol marks its end.
func (w *Response) ResetCGI(sink Sink, h *Head, keepAlive bool) {
	w.Reset(sink, h, keepAlive)
	w.cgi = true
}

// Start implements app.Writer.
func (w *Response) Start(status int, contentType string, length int64, extra ...app.Field) {
	w.status, w.counted, w.left = status, length >= 0, length
	w.noBody = w.noBody || NoContent(status)
	if length < 0 {
		w.chunked = w.minor == 1 && !w.cgi
		w.keepAlive = w.keepAlive && (w.chunked || w.cgi) // otherwise the body ends with the connection
	}
	b := append(w.buf, w.protocol()...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(append(b, ' '), http.StatusText(status)...)
	b = append(append(b, w.server()...), contentType...)
	switch {
	case w.chunked:
		b = append(b, "\r\nTransfer-Encoding: chunked"...)
	case length >= 0:
		b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), length, 10)
	}
	for _, f := range extra {
		b = append(append(append(append(b, "\r\n"...), f.Name...), ": "...), f.Value...)
	}
	w.buf = append(append(b, w.connection()...), "\r\n\r\n"...)
	if w.SplitWrites {
		w.Flush()
	}
}

func (w *Response) protocol() string {
	if w.cgi {
		return "Status: "
	}
	return "HTTP/1.1 "
}

func (w *Response) server() string {
	if w.cgi {
		return "\r\nContent-Type: "
	}
	return "\r\nServer: refserver\r\nContent-Type: "
}

func (w *Response) connection() string {
	switch {
	case w.cgi:
		return ""
	case !w.keepAlive:
		return "\r\nConnection: close"
	case w.minor == 0:
		return "\r\nConnection: keep-alive"
	}
	return ""
}

// Write implements app.Writer.
func (w *Response) Write(p []byte) {
	switch {
	case w.noBody || len(p) == 0:
	case w.chunked:
		w.buf = append(strconv.AppendInt(w.buf, int64(len(p)), 16), "\r\n"...)
		w.buf = append(append(w.buf, p...), "\r\n"...)
	case len(w.buf)+len(p) <= gather:
		w.buf = append(w.buf, p...)
	default:
		w.send(p)
	}
	w.left -= int64(len(p))
}

// SendFile implements app.Writer.
func (w *Response) SendFile(fd int, n int64) {
	w.left -= n
	if w.noBody {
		return
	}
	w.Flush()
	if w.err == nil && n > 0 {
		w.err = w.sink.SendFile(fd, 0, n)
	}
}

// Flush sends what was collected so far.
func (w *Response) Flush() {
	if len(w.buf) > 0 {
		w.send(nil)
	}
}

func (w *Response) send(body []byte) {
	if w.err == nil {
		w.err = w.sink.Send(w.buf, body)
	}
	w.buf = w.buf[:0]
}

// Finish ends the response and sends the rest of it. A second call does
// nothing.
func (w *Response) Finish() error {
	if w.chunked && !w.noBody && !w.finished {
		w.buf = append(w.buf, "0\r\n\r\n"...)
	}
	if f, ok := w.sink.(Finisher); ok && !w.finished && w.err == nil {
		w.err = f.Finish(w.buf)
		w.buf = w.buf[:0]
	}
	w.finished = true
	w.Flush()
	return w.err
}

// Err implements app.Writer.
func (w *Response) Err() error { return w.err }

// NoContent reports whether responses with that status never have content.
func NoContent(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// Status returns the status that was sent, 0 before Start.
func (w *Response) Status() int { return w.status }

// KeepAlive reports whether the connection can carry another request after this
// response.
func (w *Response) KeepAlive() bool {
	return w.keepAlive && w.err == nil && (!w.counted || w.left == 0 || w.noBody)
}

// Break marks a response that will stay incomplete: the connection closes after
// it, and a chunked body does not get its end.
func (w *Response) Break() { w.keepAlive, w.finished = false, true }

// Refuse responds to a request that cannot be served, and announces that the
// connection closes.
func (w *Response) Refuse(e *Error) {
	w.keepAlive = false
	body := e.Reason + "\n"
	w.Start(e.Status, "text/plain", int64(len(body)))
	w.Write([]byte(body))
}

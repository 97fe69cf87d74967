package httpio

import "errors"

// Codec turns the bytes of one connection into requests, and responses into
// bytes. Each protocol that a server supports has one.
type Codec interface {
	// Reset prepares for the next request.
	Reset()
	// Skip returns how many bytes at the start of p belong to no request.
	Skip(p []byte) int
	// Decode takes bytes from the start of p, the input that was not used yet.
	// It returns how many it used and whether the request is complete. If it
	// used none, it needs more bytes. The error is an *Error.
	//
	// The head may refer to bytes of p. They must stay unchanged until the
	// response is finished.
	Decode(p []byte) (used int, done bool, err error)
	// Head returns what is known of the head of the request.
	Head() *Head
	// BodySize returns the number of content bytes that were seen.
	BodySize() int64
	// WantsContinue reports, once per request, that the client waits until the
	// server asks for the body.
	WantsContinue() bool
	// Respond prepares w for the response to the request. If keepAlive is
	// false, the connection closes after it.
	Respond(w *Response, sink Sink, keepAlive bool)
}

// HTTP is the codec of HTTP/1.
type HTTP struct {
	// OnBody, if set, is called with the content of the body as it arrives.
	OnBody func(p []byte) error

	head     Head
	body     Body
	headDone bool
	asked    bool
	own      []byte // the head, if it must outlive the input
}

var _ Codec = (*HTTP)(nil)

// NewHTTP returns the codec of one HTTP/1 connection.
func NewHTTP() Codec { return new(HTTP) }

// Reset implements Codec.
func (c *HTTP) Reset() { *c = HTTP{OnBody: c.OnBody, own: c.own[:0]} }

// Skip implements Codec. Some clients send an empty line after a body.
func (c *HTTP) Skip(p []byte) int { return skipBlankLines(p) }

// Head implements Codec.
func (c *HTTP) Head() *Head { return &c.head }

// BodySize implements Codec.
func (c *HTTP) BodySize() int64 { return c.body.Size }

// WantsContinue implements Codec.
func (c *HTTP) WantsContinue() bool {
	if !c.headDone || !c.head.Expect || c.asked || c.body.Done() {
		return false
	}
	c.asked = true
	return true
}

// Decode implements Codec.
func (c *HTTP) Decode(p []byte) (used int, done bool, err error) {
	if !c.headDone {
		if used, err = c.decodeHead(p); err != nil || !c.headDone {
			return used, false, err
		}
	}
	for !c.body.Done() {
		n, content, err := c.body.Next(p[used:])
		used += n
		if err == nil && c.OnBody != nil && len(content) > 0 {
			err = c.OnBody(content)
		}
		if err != nil || n == 0 {
			return used, false, err
		}
	}
	return used, true, nil
}

func (c *HTTP) decodeHead(p []byte) (int, error) {
	n, err := ParseHead(p, &c.head)
	if errors.Is(err, ErrIncomplete) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if c.head.HasBody() {
		// Reading the body overwrites the input.
		c.own = append(c.own[:0], p[:n]...)
		_, _ = ParseHead(c.own, &c.head) // cannot fail: it was just parsed
	}
	c.headDone = true
	return n, c.body.Begin(&c.head)
}

// Respond implements Codec.
func (c *HTTP) Respond(w *Response, sink Sink, keepAlive bool) {
	w.Reset(sink, &c.head, keepAlive && c.head.KeepAlive)
}

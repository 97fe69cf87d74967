package load

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"lapwing/cmd/refserver/clock"
)

// Sent is one request as its client saw it. Stamps are CLOCK_MONOTONIC
// nanoseconds.
type Sent struct {
	ID     string // 32 hex digits
	Before int64  // right before the write of the request's first bytes
	Left   int64  // the kernel handed them to the loopback device; 0 if not reported
	Done   int64  // the whole response was read; 0 if it was not
	Status int    // of the response
}

// Request is a request to send.
type Request struct {
	Method string // GET if empty
	Target string
	Body   int  // length of the body in bytes
	Close  bool // ask the server to close the connection afterwards
}

// Conn is the connection of a client. A Script consists of calls to its
// methods.
type Conn struct {
	conn  *socket
	in    *bufio.Reader
	ids   *ids
	sent  []Sent
	ended []uint32 // for each of sent, the number of the last byte of its write
	got   int      // responses
}

// Send sends requests without a body in one write.
func (c *Conn) Send(requests ...Request) error {
	first := len(c.sent)
	var out []byte
	for _, r := range requests {
		out = c.head(out, r)
	}
	return c.write(out, first)
}

// SendSlowly sends the head of a request with the first piece of its body, and
// then the other pieces one by one, with a pause before each.
func (c *Conn) SendSlowly(r Request, pieces int, pause time.Duration) error {
	out := c.head(nil, r)
	body := make([]byte, r.Body)
	for i := range pieces {
		begin, end := i*r.Body/pieces, (i+1)*r.Body/pieces
		out = append(out, body[begin:end]...)
		if i > 0 {
			time.Sleep(pause)
		}
		if err := c.write(out, len(c.ended)); err != nil {
			return err
		}
		out = out[:0]
	}
	return nil
}

// head appends the head of a request with an id of its own. The id comes first,
// so that an agent that only keeps a part of a head sees it.
func (c *Conn) head(b []byte, r Request) []byte {
	id := c.ids.next()
	c.sent = append(c.sent, Sent{ID: id})
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	b = append(append(append(append(b, r.Method...), ' '), r.Target...), " HTTP/1.1\r\nHost: truth\r\ntraceparent: 00-"...)
	b = append(append(append(append(b, id...), '-'), id[16:]...), "-01\r\n"...)
	if r.Body > 0 {
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), int64(r.Body), 10), "\r\n"...)
	}
	if r.Close {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}

// write writes bytes that contain the requests from first on, and stamps these
// requests.
func (c *Conn) write(b []byte, first int) error {
	before := clock.Now()
	_, err := c.conn.Write(b)
	for i := first; i < len(c.sent); i++ {
		c.sent[i].Before = before
		c.ended = append(c.ended, c.conn.written-1)
	}
	if err != nil {
		return fmt.Errorf("send a request: %w", err)
	}
	return nil
}

// finish returns the requests that were sent, with the kernel's stamps.
func (c *Conn) finish() ([]Sent, error) {
	err := c.conn.collect()
	for i, end := range c.ended {
		c.sent[i].Left = c.conn.stamps[end]
	}
	return c.sent[:len(c.ended)], err
}

// Receive reads the responses to all sent requests.
func (c *Conn) Receive() error {
	for c.got < len(c.sent) {
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil {
			return fmt.Errorf("read response %d of %d: %w", c.got+1, len(c.sent), err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return fmt.Errorf("read the content of response %d of %d: %w", c.got+1, len(c.sent), err)
		}
		c.sent[c.got].Status, c.sent[c.got].Done = resp.StatusCode, clock.Now()
		c.got++
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("the server answered %s", resp.Status)
		}
	}
	return nil
}

// ReadSlowly makes the client pause before every read of at most chunk bytes.
func (c *Conn) ReadSlowly(chunk int, pause time.Duration) {
	c.in = bufio.NewReaderSize(slow{c.conn, pause}, chunk)
}

type slow struct {
	io.Reader
	pause time.Duration
}

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(s.pause)
	return s.Reader.Read(p)
}

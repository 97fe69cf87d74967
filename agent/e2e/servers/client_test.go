package servers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/agent/e2e/harness"
	"lapwing/collectors/request"
)

// asked is one request as recorded by the client.
type asked struct {
	path   string
	status int
	// before and after are the times around the write of the first byte of the
	// request. ended is before the write of its last byte, received after the
	// read of the last byte of the response.
	before, after, ended, received request.Stamp
}

// client sends one request after the other, on one connection as long as the
// server keeps it open.
type client struct {
	address  string
	closes   bool
	patience time.Duration // for one connection
	conn     net.Conn
	in       *bufio.Reader
}

// askAll makes the clients send all requests of a run.
func (s server) askAll(t *testing.T, address, run string) []asked {
	t.Helper()
	all := make([]asked, requests)
	var clients sync.WaitGroup
	for c := range 2 * s.workers {
		clients.Go(func() {
			cl := &client{address: address, closes: s.closes, patience: time.Minute}
			defer cl.hangUp()
			for i := c; i < requests; i += 2 * s.workers {
				a, _, err := cl.retry(s.asks(run, i), halting(i))
				if !assert.NoError(t, err, "request %d", i) {
					return
				}
				all[i] = a
			}
		})
	}
	clients.Wait()
	return all
}

// retry repeats the request on a new connection if the server has closed the
// kept-alive one, which it may do at any time. All kinds of clients do this.
func (c *client) retry(path string, halts bool) (a asked, again bool, err error) {
	kept := c.conn != nil
	a, err = c.ask(path, halts)
	if again = kept && errors.Is(err, errUnanswered); again {
		c.hangUp()
		a, err = c.ask(path, halts)
	}
	return a, again, err
}

// errUnanswered means that no byte of a response arrived.
var errUnanswered = errors.New("no response")

// ask sends a GET request, in two pieces if halts is set.
func (c *client) ask(path string, halts bool) (a asked, err error) {
	if err = c.connect(); err != nil {
		return a, err
	}
	a.path = path
	connection := "keep-alive"
	if c.closes {
		connection = "close"
	}
	line := "GET " + path + " HTTP/1.1\r\nHost: " + c.address + "\r\nConnection: " + connection + "\r\n"
	rest := "Accept: */*\r\n\r\n"
	if !halts {
		line, rest = line+rest, ""
	}
	a.before = request.Now()
	_, err = io.WriteString(c.conn, line)
	a.after, a.ended = request.Now(), a.before
	if err == nil && halts {
		time.Sleep(pause)
		a.ended = request.Now()
		_, err = io.WriteString(c.conn, rest)
	}
	if err != nil {
		return a, errors.Join(errUnanswered, err)
	}
	a.status, err = c.receive()
	a.received = request.Now()
	return a, err
}

func (c *client) connect() (err error) {
	if c.conn != nil {
		return nil
	}
	if c.conn, err = net.DialTimeout("tcp", c.address, harness.Slow(10*time.Second)); err != nil {
		return err
	}
	c.in = bufio.NewReader(c.conn)
	return c.conn.SetDeadline(time.Now().Add(harness.Slow(c.patience)))
}

// receive reads a response to its end.
func (c *client) receive() (status int, err error) {
	if _, err = c.in.Peek(1); err != nil {
		return 0, errors.Join(errUnanswered, err)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, fmt.Errorf("read the response: %w", err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if resp.Close || c.closes || err != nil {
		c.hangUp()
	}
	return resp.StatusCode, err
}

func (c *client) hangUp() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

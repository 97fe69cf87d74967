package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// pacedResult is the result of the paced client.
type pacedResult struct {
	Requests uint64
	Rate     float64 // the requests/s that it reached
}

// pacer sends requests at times fixed in advance, even if earlier ones have not
// been answered. It uses kept-alive connections with one request in flight on
// each. It has a single thread, so that the client uses as little of the
// machine as possible.
type pacer struct {
	request  []byte
	response int // bytes of one response, including its head
	conns    []pacedConn
	fds      []unix.PollFd
	idle     []int // connections without a request in flight
	buf      []byte
}

type pacedConn struct {
	fd   int
	want int // bytes of the response still to come; 0 if idle
}

// runPaced loads the server with rate requests per second.
func runPaced(ctx context.Context, opts options, address string) (pacedResult, error) {
	p := &pacer{request: []byte("GET / HTTP/1.1\r\nHost: " + address + "\r\n\r\n"), buf: make([]byte, 64<<10)}
	defer p.close()
	if err := p.learn(address); err != nil {
		return pacedResult{}, err
	}
	for range opts.connections {
		if err := p.connect(address); err != nil {
			return pacedResult{}, err
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return p.run(ctx, opts.rate, opts.length)
}

// learn sends one request to learn the length of a response. All have the same
// length.
func (p *pacer) learn(address string) error {
	conn, err := net.DialTimeout("tcp4", address, time.Second)
	if err != nil {
		return fmt.Errorf("connect to nginx: %w", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write(p.request); err != nil {
		return fmt.Errorf("ask nginx: %w", err)
	}
	var raw bytes.Buffer
	answer, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &raw)), nil)
	if err != nil {
		return fmt.Errorf("read nginx's answer: %w", err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return fmt.Errorf("read nginx's answer: %w", err)
	}
	if answer.StatusCode != http.StatusOK || answer.ContentLength < 0 {
		return fmt.Errorf("nginx answered %s without a length", answer.Status)
	}
	p.response = raw.Len()
	return nil
}

func (p *pacer) connect(address string) error {
	to, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	p.idle = append(p.idle, len(p.conns))
	p.conns = append(p.conns, pacedConn{fd: fd})
	p.fds = append(p.fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	sa := &unix.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}
	return errors.Join(unix.Connect(fd, sa), unix.SetNonblock(fd, true),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
}

func (p *pacer) close() {
	for _, c := range p.conns {
		_ = unix.Close(c.fd)
	}
}

// overtime is how long the client continues with requests that are late.
const overtime = 2 * time.Second

func (p *pacer) run(ctx context.Context, rate int, length time.Duration) (pacedResult, error) {
	interval := time.Second / time.Duration(rate)
	total := int(length / interval)
	begin := time.Now()
	sent := 0
	for sent < total || len(p.idle) < len(p.conns) {
		elapsed := time.Since(begin)
		if elapsed > length+overtime || ctx.Err() != nil {
			return pacedResult{}, errors.Join(ctx.Err(), fmt.Errorf("nginx answered %d of %d requests in %s: lower -rate", sent, total, elapsed))
		}
		due := min(total, int(elapsed/interval)+1)
		for ; sent < due && len(p.idle) > 0; sent++ {
			if err := p.send(); err != nil {
				return pacedResult{}, err
			}
		}
		wait := 100 * time.Millisecond
		if sent < total && len(p.idle) > 0 {
			wait = max(0, time.Duration(sent)*interval-time.Since(begin))
		}
		if err := p.receive(wait); err != nil {
			return pacedResult{}, err
		}
	}
	// One more request was sent to learn the length of a response.
	return pacedResult{Requests: uint64(sent) + 1, Rate: float64(sent) / time.Since(begin).Seconds()}, nil
}

// send sends the next request on the connection that has been idle longest.
func (p *pacer) send() error {
	c := &p.conns[p.idle[0]]
	p.idle = append(p.idle[:0], p.idle[1:]...)
	if n, err := unix.Write(c.fd, p.request); err != nil || n != len(p.request) {
		return fmt.Errorf("send a request: wrote %d of %d bytes: %w", n, len(p.request), err)
	}
	c.want = p.response
	return nil
}

// receive waits for responses, at most until the next request is due.
func (p *pacer) receive(wait time.Duration) error {
	timeout := unix.NsecToTimespec(int64(wait))
	n, err := unix.Ppoll(p.fds, &timeout, nil)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for answers: %w", err)
	}
	for i := 0; n > 0 && i < len(p.fds); i++ {
		if p.fds[i].Revents == 0 {
			continue
		}
		n--
		if err := p.read(i); err != nil {
			return err
		}
	}
	return nil
}

var statusOK = []byte("HTTP/1.1 200 ")

func (p *pacer) read(i int) error {
	c := &p.conns[i]
	n, err := unix.Read(c.fd, p.buf)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return nil
	case err != nil:
		return fmt.Errorf("read an answer: %w", err)
	case n == 0 || n > c.want:
		return fmt.Errorf("read an answer: got %d bytes where %d were to come", n, c.want)
	case c.want == p.response && !bytes.HasPrefix(p.buf[:n], statusOK[:min(n, len(statusOK))]):
		return fmt.Errorf("nginx answered %q", p.buf[:min(n, 64)])
	}
	c.want -= n
	if c.want == 0 {
		p.idle = append(p.idle, i)
	}
	return nil
}

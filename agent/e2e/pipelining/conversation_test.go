package pipelining

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/collectors/request"
)

// call is a system call with times by the caller's own clock. It carried the
// bytes of its stream up to end.
type call struct {
	before, after request.Stamp
	end           int
}

// journal holds the calls of one end on one stream, in order.
type journal []call

// of returns the call that carried a byte.
func (j journal) of(at int) call {
	for _, c := range j {
		if at < c.end {
			return c
		}
	}
	return call{}
}

func (j *journal) do(what func() (int, error)) (n int, err error) {
	c := call{before: request.Now()}
	if n, err = what(); err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, errors.New("the connection was closed")
	}
	c.after = request.Now()
	if len(*j) > 0 {
		c.end = (*j)[len(*j)-1].end
	}
	c.end += n
	*j = append(*j, c)
	return n, nil
}

// conversation is a connection and what its ends recorded.
type conversation struct {
	client, server      int // descriptors
	clientRand          *rand.Rand
	serverRand          *rand.Rand
	asks, answers       []string
	sent, read          journal // of requests: by the client, by the server
	written             journal // of responses
	asksEnd, answersEnd []int
	mu                  sync.Mutex
	answered            *sync.Cond
	got                 int // responses that the client has received
}

func newConversation(t *testing.T, l net.Listener, first int) *conversation {
	client, err := net.Dial(l.Addr().Network(), l.Addr().String())
	require.NoError(t, err)
	server, err := l.Accept()
	require.NoError(t, err)
	c := &conversation{
		client: descriptor(t, client), server: descriptor(t, server),
		clientRand: rand.New(rand.NewPCG(uint64(first), 1)), serverRand: rand.New(rand.NewPCG(uint64(first), 2)),
	}
	require.NoError(t, errors.Join(client.Close(), server.Close()))
	c.answered = sync.NewCond(&c.mu)
	c.asks, c.answers = texts(c.clientRand, first)
	c.asksEnd, c.answersEnd = ends(c.asks), ends(c.answers)
	return c
}

// descriptor returns another descriptor of the connection, on which calls
// block.
func descriptor(t *testing.T, c net.Conn) int {
	raw, err := c.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	fd := -1
	require.NoError(t, raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }))
	require.NoError(t, err)
	require.NoError(t, unix.SetNonblock(fd, false))
	return fd
}

func ends(texts []string) (at []int) {
	end := 0
	for _, s := range texts {
		end += len(s)
		at = append(at, end)
	}
	return at
}

func (c *conversation) run() error {
	results := make(chan error, 3)
	for _, part := range []func() error{c.ask, c.hear, c.serve} {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			results <- part()
		}()
	}
	err := errors.Join(<-results, <-results, <-results)
	return errors.Join(err, unix.Close(c.client), unix.Close(c.server))
}

// ask writes the requests in pieces whose ends need not be ends of requests, a
// few requests ahead of the responses.
func (c *conversation) ask() error {
	var stream []byte
	for i, text := range c.asks {
		c.mu.Lock()
		for len(stream) == 0 && i-c.got >= 1+c.clientRand.IntN(ahead) {
			c.answered.Wait()
		}
		underWay := i - c.got
		c.mu.Unlock()
		stream = append(stream, text...)
		if i < len(c.asks)-1 && c.clientRand.IntN(3) == 0 && underWay < ahead-1 {
			continue // the next one is sent with it
		}
		if err := c.sent.say(c.client, c.clientRand, stream); err != nil {
			return fmt.Errorf("client: %w", err)
		}
		stream = nil
	}
	return nil
}

// hear reads the responses and counts them.
func (c *conversation) hear() error {
	buf, have := make([]byte, 8192), 0
	for have < c.answersEnd[len(c.answersEnd)-1] {
		n, err := unix.Read(c.client, buf)
		if err != nil || n == 0 {
			return fmt.Errorf("client: read %d: %w", n, err)
		}
		have += n
		c.mu.Lock()
		for c.got < len(c.answersEnd) && c.answersEnd[c.got] <= have {
			c.got++
		}
		c.answered.Broadcast()
		c.mu.Unlock()
	}
	return nil
}

// serve reads what has arrived, and answers the complete requests, individually
// or several at once.
func (c *conversation) serve() error {
	buf, have, served := make([]byte, 4096), 0, 0
	for served < len(c.asks) {
		n, err := c.read.do(func() (int, error) { return unix.Read(c.server, buf[:1+c.serverRand.IntN(len(buf))]) })
		if err != nil {
			return fmt.Errorf("server: %w", err)
		}
		have += n
		pause(c.serverRand)
		var stream []byte
		for served < len(c.asks) && c.asksEnd[served] <= have {
			stream = append(stream, c.answers[served]...)
			served++
			if c.serverRand.IntN(2) == 0 {
				if err := c.answer(stream); err != nil {
					return err
				}
				stream = nil
			}
		}
		if err := c.answer(stream); err != nil {
			return err
		}
	}
	return nil
}

func (c *conversation) answer(stream []byte) error {
	if err := c.written.say(c.server, c.serverRand, stream); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return nil
}

// say writes bytes in random pieces.
func (j *journal) say(fd int, rng *rand.Rand, stream []byte) error {
	for len(stream) > 0 {
		n := piece(rng, len(stream))
		if _, err := j.do(func() (int, error) { return unix.Write(fd, stream[:n]) }); err != nil {
			return err
		}
		stream = stream[n:]
		pause(rng)
	}
	return nil
}

func piece(rng *rand.Rand, n int) int {
	if rng.IntN(2) == 0 {
		return n
	}
	return 1 + rng.IntN(n)
}

func pause(rng *rand.Rand) {
	if rng.IntN(6) == 0 {
		time.Sleep(time.Duration(rng.IntN(200)) * time.Microsecond)
	}
}

// check compares a request with what both ends recorded, and counts the absent
// stamps.
func (c *conversation) check(n int, r *request.Request) (absent int, err error) {
	asked, answer := c.asksEnd[n]-len(c.asks[n]), c.answersEnd[n]-len(c.answers[n])
	readFirst, readLast := c.read.of(asked), c.read.of(c.asksEnd[n]-1)
	writeFirst, writeLast := c.written.of(answer), c.written.of(c.answersEnd[n]-1)
	for _, s := range []struct {
		name         string
		at, from, to request.Stamp
	}{
		{"arrived", r.Arrived, c.sent.of(asked).before, readFirst.after},
		{"read_first", r.ReadFirst, readFirst.before, readFirst.after},
		{"arrived_last", r.ArrivedLast, c.sent.of(c.asksEnd[n] - 1).before, readLast.after},
		{"read_last", r.ReadLast, readLast.before, readLast.after},
		{"write_first", r.WriteFirst, writeFirst.before, writeFirst.after},
		{"write_last", r.WriteLast, writeLast.before, writeLast.after},
	} {
		switch {
		case !s.at.Seen():
			absent++
		case s.at < s.from || s.at > s.to:
			return absent, fmt.Errorf("%s is %d ns behind the begin of what it is of, which took %d ns", s.name, s.at-s.from, s.to-s.from)
		}
	}
	if r.ClientWait > time.Duration(r.ReadLast-r.ReadFirst) || r.Blocked+r.Produce > time.Duration(r.WriteLast-r.WriteFirst) {
		return absent, errors.New("the parts of parse or of write_back are more than the whole")
	}
	if r.RequestBytes != uint64(len(c.asks[n])) || r.ResponseBytes != uint64(len(c.answers[n])) {
		return absent, fmt.Errorf("%d and %d bytes, not %d and %d", r.RequestBytes, r.ResponseBytes, len(c.asks[n]), len(c.answers[n]))
	}
	return absent, nil
}

package nonblock

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/board"
	"lapwing/cmd/refserver/event"
	"lapwing/cmd/refserver/httpio"
	"lapwing/cmd/refserver/sock"
	"lapwing/cmd/refserver/truth"
)

const (
	// MaxConns is the highest number of open connections of one loop. Further
	// ones wait in the listen backlog.
	MaxConns = 16384
	// patience is how long a client may make no progress within a request.
	patience = 30 * time.Second
	// refusalPatience is how long a refused client may continue to send.
	refusalPatience = time.Second
	// acceptPause is how long no connection is accepted after accept failed
	// because of a lack of descriptors or memory.
	acceptPause = time.Second
)

// Server accepts connections on a loop and reads requests from them.
type Server struct {
	Loop      *event.Loop
	Listener  int
	Worker    int           // id of the worker that owns the loop
	KeepAlive time.Duration // 0 closes the connection after each response
	NewCodec  func() httpio.Codec
	Log       *truth.Log
	Slot      *board.Slot // of the loop's worker; nil if other threads serve
	// Serve is called on the thread of the loop for each complete request. It
	// responds through the connection and calls Done on the thread of the loop,
	// at once or later.
	Serve func(*Conn)

	tid      int
	conns    map[*Conn]struct{}
	active   int // requests in progress
	buffers  [][]byte
	paused   bool // the listener is not watched
	stopping bool
	stopped  chan struct{}
}

// Start starts to accept. It must be called on the thread that will run the
// loop.
func (s *Server) Start() error {
	s.tid = unix.Gettid()
	s.conns = make(map[*Conn]struct{})
	s.stopped = make(chan struct{})
	if err := unix.SetNonblock(s.Listener, true); err != nil {
		return fmt.Errorf("make the listening socket non-blocking: %w", err)
	}
	return s.watchListener()
}

func (s *Server) watchListener() error {
	// Exclusive: the kernel wakes one of the processes that wait for the same
	// socket, not all of them.
	return s.Loop.Watch(s.Listener, unix.EPOLLIN|unix.EPOLLEXCLUSIVE, s)
}

// Stop closes idle connections and waits for the requests in progress. It is
// called from another thread.
func (s *Server) Stop() {
	s.Loop.Post(func() {
		s.stopping = true
		for c := range s.conns {
			if c.state == reading && c.seq == c.served {
				c.close()
			}
		}
		s.checkStopped()
	})
	<-s.stopped
}

func (s *Server) checkStopped() {
	if s.stopping && s.active == 0 {
		s.stopping = false
		close(s.stopped)
	}
}

// Ready accepts one connection. If there are more, the next poll of the
// listener reports it again, and other processes get their share.
func (s *Server) Ready(uint32) {
	accepted, err := sock.AcceptNonblock(s.Listener)
	switch {
	case errors.Is(err, sock.ErrNoConnection):
		return // another process was faster
	case err != nil:
		s.pause(acceptPause)
		fmt.Fprintln(os.Stderr, err)
		return
	}
	c := &Conn{Conn: accepted, server: s, codec: s.NewCodec(), Out: Outbox{FD: accepted.FD}}
	s.conns[c] = struct{}{}
	if err := s.Loop.Watch(c.FD, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET, c); err != nil {
		c.close()
		return
	}
	c.watchTime()
	if len(s.conns) == MaxConns {
		s.pause(0)
	}
}

// pause stops accepting for d, or until a connection is closed.
func (s *Server) pause(d time.Duration) {
	if s.paused {
		return
	}
	s.paused = true
	s.Loop.Unwatch(s.Listener)
	if d > 0 {
		s.Loop.After(d, s.resume)
	}
}

func (s *Server) resume() {
	if s.paused && len(s.conns) < MaxConns {
		s.paused = s.watchListener() != nil
	}
}

// begin counts a request in progress for the board, end ends it.
func (s *Server) begin(since int64) {
	s.active++
	if s.active == 1 && s.Slot != nil {
		s.Slot.Busy(since)
	}
}

func (s *Server) end() {
	s.active--
	if s.Slot != nil {
		s.Slot.Served()
		if s.active == 0 {
			s.Slot.Available()
		}
	}
	s.checkStopped()
}

const (
	bufferSize = 16 << 10
	// spareBuffers is the number of unused buffers that a server keeps.
	spareBuffers = 64
)

func (s *Server) buffer() []byte {
	last := len(s.buffers) - 1
	if last < 0 {
		return make([]byte, 0, bufferSize)
	}
	b := s.buffers[last]
	s.buffers = s.buffers[:last]
	return b
}

// release keeps a buffer for the next connection that needs one.
func (s *Server) release(b []byte) {
	if cap(b) == bufferSize && len(s.buffers) < spareBuffers {
		s.buffers = append(s.buffers, b[:0])
	}
}

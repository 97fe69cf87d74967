package snapshot

import (
	"lapwing/probes/socket/bpf"
	"lapwing/probes/socket/wire"
)

// connEntry is what a snapshot says of a connection besides its record.
type connEntry = bpf.SocketPlanSnapConn

// WaitHow says how a thread waits for a socket.
type WaitHow uint32

// The ways to wait.
const (
	WaitNone = WaitHow(0)
	WaitCall = WaitHow(bpf.SocketPlanWaitHowWAIT_CALL) // in a read or accept of it
	WaitPoll = WaitHow(bpf.SocketPlanWaitHowWAIT_POLL) // in poll or select of it alone
	WaitMany = WaitHow(bpf.SocketPlanWaitHowWAIT_MANY) // in poll or select of it and others
	WaitLoop = WaitHow(bpf.SocketPlanWaitHowWAIT_LOOP) // in epoll_wait
)

// Work says how far a connection's request is.
type Work uint8

// The answers of Conn.Work. Whether a response that has begun is complete
// its framing tells, which for WorkAnswering only the connection's pairer knows.
const (
	WorkNone       Work = iota // no request is in progress
	WorkReading                // the request is being read
	WorkComputing              // it was read, its response has not begun
	WorkResponding             // the response has begun
	WorkUnframed               // some request is in progress on a connection that user space frames
	WorkAnswering              // something was written on such a connection since it was last read
	WorkEarlier                // some request is in progress since before the agent's start
)

// Work says how far the request of the connection is.
func (c *Conn) Work() Work {
	switch uint32(c.Mode) {
	case uint32(bpf.SocketPlanModeMODE_HTTP):
		return c.request()
	case uint32(bpf.SocketPlanModeMODE_EVENTS):
		if c.Record.ReadLast > c.WriteExit {
			return WorkUnframed
		}
		return WorkAnswering
	case uint32(bpf.SocketPlanModeMODE_EXISTING):
		if c.unanswered() {
			return WorkEarlier
		}
	}
	return WorkNone
}

func (c *Conn) request() Work {
	switch uint32(c.Phase) {
	case uint32(bpf.SocketPlanPhasePHASE_READING):
		switch {
		case c.WriteEnter != 0:
			return WorkResponding
		case c.allRead():
			return WorkComputing
		}
		return WorkReading
	case uint32(bpf.SocketPlanPhasePHASE_RESPONDING):
		if c.Shut == 0 && c.Record.Closed == 0 {
			return WorkResponding
		}
	}
	return WorkNone
}

// allRead reports whether the request was read to its end. Where that cannot be
// told, it was unless somebody waits for more.
func (c *Conn) allRead() bool {
	end := c.Record.RequestEnd()
	return end == wire.EndSeen || end == wire.EndUnknown && !c.blocked()
}

// blocked reports whether a thread is in a read of the connection, or in poll
// of it alone.
func (c *Conn) blocked() bool {
	return c.WaiterTid != 0 && (WaitHow(c.WaiterHow) == WaitCall || WaitHow(c.WaiterHow) == WaitPoll)
}

// unanswered reports whether a request came on a connection from before the
// agent's start and nothing went out since. Bytes that nobody read yet are no
// request in progress.
func (c *Conn) unanswered() bool {
	if c.Unread > 0 || c.blocked() {
		return false
	}
	if c.Record.IsUnix() {
		return WaitHow(c.WaiterHow) == WaitNone
	}
	return c.Received > 0 && (c.Sent == 0 || int32(c.ReceivedAt-c.SentAt) > 0)
}

// Multiplexed reports whether somebody waits for the connection together with
// others, as event loops do.
func (c *Conn) Multiplexed() bool {
	how := WaitHow(c.WaiterHow)
	return how == WaitLoop || how == WaitMany
}

// Earlier reports whether all that is known of the connection is that it was
// there when the agent started.
func (c *Conn) Earlier() bool {
	return uint32(c.Mode) == uint32(bpf.SocketPlanModeMODE_EXISTING)
}

// Blocked is the thread that is blocked in reading the connection: in a read
// of it, or in poll of it alone. A thread that waits for many connections is
// not blocked by any of them.
func (c *Conn) Blocked() (pid, tid uint32, ok bool) {
	return c.WaiterPid, c.WaiterTid, c.blocked()
}

// ComposeConn makes the entry of a connection whose request is that far, for
// tests of what takes snapshots. Fields may be changed afterwards.
func ComposeConn(w Work, r wire.Record) Conn {
	c := Conn{Record: r}
	mode, phase := bpf.SocketPlanModeMODE_HTTP, bpf.SocketPlanPhasePHASE_READING
	switch w {
	case WorkNone:
		phase = bpf.SocketPlanPhasePHASE_IDLE
	case WorkReading:
		r.In.Place = uint8(bpf.SocketPlanPlacePLACE_LENGTH)
	case WorkComputing:
		r.In.Place = uint8(bpf.SocketPlanPlacePLACE_END)
	case WorkResponding:
		phase = bpf.SocketPlanPhasePHASE_RESPONDING
	case WorkUnframed:
		mode, c.WriteExit = bpf.SocketPlanModeMODE_EVENTS, r.ReadLast-1
	case WorkAnswering:
		mode, c.WriteExit = bpf.SocketPlanModeMODE_EVENTS, r.ReadLast+1
	case WorkEarlier:
		mode, c.Received = bpf.SocketPlanModeMODE_EXISTING, 1
	}
	c.Mode, c.Phase = uint8(mode), uint8(phase)
	return c
}

package snapshot

import (
	"lapwing/probes/socket/bpf"
	"lapwing/probes/socket/wire"
)

// connEntry is what a snapshot reports of a connection besides its record.
type connEntry = bpf.SocketPlanSnapConn

// WaitHow is how a thread waits for a socket.
type WaitHow uint32

// The ways to wait.
const (
	WaitNone = WaitHow(0)
	WaitCall = WaitHow(bpf.SocketPlanWaitHowWAIT_CALL) // in a read or accept on it
	WaitPoll = WaitHow(bpf.SocketPlanWaitHowWAIT_POLL) // in poll or select on it alone
	WaitMany = WaitHow(bpf.SocketPlanWaitHowWAIT_MANY) // in poll or select on it and others
	WaitLoop = WaitHow(bpf.SocketPlanWaitHowWAIT_LOOP) // in epoll_wait
)

// Work is how far a connection's request has got.
type Work uint8

// The results of Conn.Work. Framing shows whether a response that has started is
// complete. For WorkAnswering only the pairer of the connection knows that.
const (
	WorkNone       Work = iota // no request is in progress
	WorkReading                // the request is being read
	WorkComputing              // it was read, its response has not started
	WorkResponding             // the response has started
	WorkUnframed               // in progress on a connection that user space frames
	WorkAnswering              // such a connection was written to since its last read
	WorkEarlier                // a request has been in progress since before the agent's start
)

// Work returns how far the request of the connection has got.
func (c *Conn) Work() Work {
	switch {
	case c.Earlier() && c.unanswered():
		return WorkEarlier
	case bpf.SocketPlanStage(c.Stage) != bpf.SocketPlanStageSTAGE_KNOWN:
		return WorkNone
	case bpf.SocketPlanFramer(c.Framer) == bpf.SocketPlanFramerFRAMER_KERNEL:
		return c.request()
	case c.Record.ReadLast > c.WriteExit:
		return WorkUnframed
	}
	return WorkAnswering
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

// allRead reports whether the request was read to its end. If that is not known, it was,
// unless a thread waits for more.
func (c *Conn) allRead() bool {
	end := c.Record.RequestEnd()
	return end == wire.EndSeen || end == wire.EndUnknown && !c.blocked()
}

// blocked reports whether a thread is in a read of the connection, or in poll on it
// alone.
func (c *Conn) blocked() bool {
	return c.WaiterTid != 0 && (WaitHow(c.WaiterHow) == WaitCall || WaitHow(c.WaiterHow) == WaitPoll)
}

// unanswered reports whether a request came on a connection from before the agent's start
// and nothing was sent since. Bytes that were not read yet are not a request in progress.
func (c *Conn) unanswered() bool {
	if c.Unread > 0 || c.blocked() {
		return false
	}
	if c.Record.IsUnix() {
		return WaitHow(c.WaiterHow) == WaitNone
	}
	return c.Received > 0 && (c.Sent == 0 || int32(c.ReceivedAt-c.SentAt) > 0)
}

// Multiplexed reports whether a thread waits for the connection together with others, as
// event loops do.
func (c *Conn) Multiplexed() bool {
	how := WaitHow(c.WaiterHow)
	return how == WaitLoop || how == WaitMany
}

// Earlier reports whether it is only known that the connection existed when the agent
// started.
func (c *Conn) Earlier() bool {
	return bpf.SocketPlanStage(c.Stage) == bpf.SocketPlanStageSTAGE_EXISTING
}

// Blocked returns the thread that is blocked by the connection: in a read of it, or in
// poll on it alone. A thread that waits for many connections is not blocked by any of
// them.
func (c *Conn) Blocked() (pid, tid uint32, ok bool) {
	return c.WaiterPid, c.WaiterTid, c.blocked()
}

// ComposeConn returns the entry of a connection whose request has got that far. It is for
// tests of code that takes snapshots. Fields may be changed afterwards.
func ComposeConn(w Work, r wire.Record) Conn {
	c := Conn{Record: r}
	stage, framer, phase := bpf.SocketPlanStageSTAGE_KNOWN, bpf.SocketPlanFramerFRAMER_KERNEL, bpf.SocketPlanPhasePHASE_READING
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
		framer, c.WriteExit = bpf.SocketPlanFramerFRAMER_USER, r.ReadLast-1
	case WorkAnswering:
		framer, c.WriteExit = bpf.SocketPlanFramerFRAMER_USER, r.ReadLast+1
	case WorkEarlier:
		stage, c.Received = bpf.SocketPlanStageSTAGE_EXISTING, 1
	}
	c.Stage, c.Framer, c.Phase = uint8(stage), uint8(framer), uint8(phase)
	return c
}

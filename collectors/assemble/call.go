package assemble

import (
	"bytes"

	"golang.org/x/sys/unix"

	"lapwing/collectors/protocol/detect"
	"lapwing/collectors/request"
	"lapwing/probes/socket/wire"
)

// call passes on a call. Calls are rare compared with requests, and they are kept
// for a while, so each one has its own memory.
func (a *Assembler) call(r wire.Record) {
	if a.opts.Call == nil {
		return
	}
	c := &request.Call{
		Links: request.CallLinks{
			ID:       request.Ref{Conn: r.Conn, Seq: r.Seq},
			For:      request.Ref{Conn: r.Cause, Seq: r.CauseSeq},
			After:    request.Ref{Conn: r.Caller, Seq: r.CallerSeq},
			Evidence: evidenceOf(r.Evidence),
			Open:     r.AcceptorTid, // see record.h
			Again:    r.Marks&wire.MarkReported != 0,
		},
		SentFirst: request.Stamp(r.WriteFirst), SentLast: request.Stamp(r.WriteLast),
		GotFirst: request.Stamp(r.ReadFirst), GotLast: request.Stamp(r.ReadLast),
		Closed:       request.Stamp(r.Closed),
		RequestBytes: r.RequestBytes, ResponseBytes: r.ResponseBytes,
		PID: r.Pid, TID: r.Tid,
	}
	openedFor(c, r)
	c.Local, c.Peer = endpoints(r, r.Name())
	if r.IsUnix() { // the name belongs to the server
		c.Local, c.Peer = c.Peer, request.Endpoint{IsUn: true, Unix: bytes.Clone(c.Local.Unix)}
	}
	endCall(c, r, a.describeCall(c, r))
	c.Error = callError(c, r)
	a.opts.Call(c)
}

// openedFor sets the start of a call. If the connection was opened for the call,
// this is the start of connect. It was not opened for the call if another thread
// uses it.
func openedFor(c *request.Call, r wire.Record) {
	l := &c.Links
	c.Start = c.SentFirst
	opened := r.Seq == 1 && r.Accepted != 0 // not if the connection is older than the agent
	if opened {
		c.Start, c.Connected = request.Stamp(r.Accepted), request.Stamp(r.Established)
	}
	l.Used, l.UseEvidence = l.For, l.Evidence
	if !opened || !c.SentFirst.Seen() {
		return
	}
	l.Used, l.UseEvidence = request.Ref{Conn: r.Marker, Seq: uint32(r.ClientWait)}, evidenceOf(uint8(r.Produce))
	reads := l.UseEvidence&request.EvidenceNoReader == 0
	switch {
	case r.WriterTid != r.Tid && reads, !l.For.Known() && l.UseEvidence&request.EvidenceSole != 0:
		l.For, l.After, l.Evidence, c.TID = l.Used, request.Ref{}, l.UseEvidence, r.WriterTid
		c.Start, c.Connected = c.SentFirst, 0
	case !l.For.Known():
		l.Used = l.For
	case r.WriterTid != r.Tid: // it writes for other threads, so the opening thread says little
		l.Used = l.For
		l.Evidence &= l.UseEvidence & request.EvidenceSole
	}
	l.Evidence |= l.UseEvidence & request.EvidenceCounted
}

func evidenceOf(bits uint8) request.Evidence {
	var e request.Evidence
	for _, m := range [...]struct {
		bit      uint8
		evidence request.Evidence
	}{
		{wire.EvidenceAlone, request.EvidenceAlone},
		{wire.EvidenceDirect, request.EvidenceDirect},
		{wire.EvidenceFoul, request.EvidenceFoul},
		{wire.EvidenceNoReader, request.EvidenceNoReader},
		{wire.EvidenceOnly, request.EvidenceOnly},
		{wire.EvidenceSole, request.EvidenceSole},
		{wire.EvidenceCounted, request.EvidenceCounted},
		{wire.EvidenceClean, request.EvidenceClean},
	} {
		if bits&m.bit != 0 {
			e |= m.evidence
		}
	}
	return e
}

// describeCall sets what was asked and answered, if the kernel framed the call. It
// reports whether the kernel did.
func (a *Assembler) describeCall(c *request.Call, r wire.Record) (framed bool) {
	a.framed = framedOf(r)
	if !a.decoder.Call(c, &a.framed) {
		c.Protocol = detect.Call(r.RequestHead(), r.RequestBytes)
		return false
	}
	c.Links.Clue = request.NewClue(r.RequestHead())
	return c.Protocol != ""
}

// endCall sets how the end of a call is known. If a call is reported before it is
// over, nothing more may be known when its request is passed on.
func endCall(c *request.Call, r wire.Record, framed bool) {
	soFar := r.Marks&wire.MarkSoFar != 0 && r.Closed == 0
	switch end := r.ResponseEnd(); {
	case r.Marks&wire.MarkPipelined != 0:
		c.Ending = request.CallEndUnknown // it is not known which request each answer belongs to
	case !soFar, end == wire.EndSeen:
	case framed:
		c.Ending = request.CallEndUnknown
		c.Links.UnderWay = end != wire.EndUnknown
	default:
		c.Ending = request.CallEndLastRead
	}
}

// callError returns the reason why a call has no answer, or no complete one.
func callError(c *request.Call, r wire.Record) string {
	errno, e := r.Error, unix.Errno(r.Error)
	if e == unix.ECONNREFUSED {
		return request.ErrorNoConnection
	}
	if c.GotLast.Seen() {
		return brokenOff(c, r)
	}
	if c.SentFirst.Seen() || e == 0 {
		return errorType(errno)
	}
	switch e { // errors of connect itself
	case unix.EAGAIN:
		return request.ErrorBacklogFull
	case unix.ENOENT:
		return request.ErrorNoSocket
	case unix.ENETUNREACH, unix.EHOSTUNREACH:
		return request.ErrorUnreachable
	case unix.ECONNRESET, unix.EPIPE, unix.ETIMEDOUT:
		return errorType(errno)
	}
	if name := unix.ErrnoName(e); name != "" {
		return name
	}
	return request.ErrorClosed
}

// brokenOff returns the reason why the end of a response did not come.
func brokenOff(c *request.Call, r wire.Record) string {
	why, end := errorType(r.Error), r.ResponseEnd()
	if c.Ending == request.CallEndSeen && (end == wire.EndOpen || end == wire.EndClose && why == request.ErrorReset) {
		return why
	}
	return ""
}

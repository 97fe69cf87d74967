package assemble

import (
	"bytes"

	"golang.org/x/sys/unix"

	"lapwing/collectors/protocol/http1"
	"lapwing/collectors/request"
	"lapwing/probes/socket"
)

// call passes on a call. There are few of them beside the requests, and they
// are kept for a while, so each gets memory of its own.
func (a *Assembler) call(r socket.Record) {
	if a.opts.Call == nil {
		return
	}
	c := &request.Call{
		Links: request.CallLinks{
			ID:       request.Ref{Conn: r.Conn, Seq: r.Seq},
			For:      request.Ref{Conn: r.Cause, Seq: r.CauseSeq},
			After:    request.Ref{Conn: r.Caller, Seq: r.CallerSeq},
			Evidence: evidenceOf(r.Evidence),
		},
		SentFirst: request.Stamp(r.WriteFirst), SentLast: request.Stamp(r.WriteLast),
		GotFirst: request.Stamp(r.ReadFirst), GotLast: request.Stamp(r.ReadLast),
		Closed:       request.Stamp(r.Closed),
		RequestBytes: r.RequestBytes, ResponseBytes: r.ResponseBytes,
		PID: r.Pid, TID: r.Tid,
	}
	c.Start = c.SentFirst
	if r.Seq == 1 {
		c.Start, c.Connected = request.Stamp(r.Accepted), request.Stamp(r.Established)
	}
	c.Local, c.Peer = endpoints(r)
	if r.IsUnix() { // the name is the server's
		c.Local, c.Peer = c.Peer, request.Endpoint{IsUn: true, Unix: bytes.Clone(c.Local.Unix)}
	}
	a.describeCall(c, r)
	c.Error = callError(c, r.Error)
	a.opts.Call(c)
}

func evidenceOf(bits uint8) request.Evidence {
	var e request.Evidence
	for _, m := range [...]struct {
		bit      uint8
		evidence request.Evidence
	}{
		{socket.EvidenceAlone, request.EvidenceAlone},
		{socket.EvidenceDirect, request.EvidenceDirect},
		{socket.EvidenceFoul, request.EvidenceFoul},
		{socket.EvidenceNoReader, request.EvidenceNoReader},
		{socket.EvidenceOnly, request.EvidenceOnly},
		{socket.EvidenceSole, request.EvidenceSole},
	} {
		if bits&m.bit != 0 {
			e |= m.evidence
		}
	}
	return e
}

// describeCall says what was asked and answered, where that is HTTP.
func (a *Assembler) describeCall(c *request.Call, r socket.Record) {
	if !http1.ParseRequest(r.RequestHead(), &a.reqHead).IsHead() {
		return
	}
	var response *http1.ResponseHead
	if len(r.ResponseHead()) > 0 && a.parseResponse(r.ResponseHead()) {
		response = &a.resHead
	}
	a.req = request.Request{}
	a.message = http1.Message{}
	http1.Describe(&a.req, &a.reqHead, response, &a.message)
	c.Protocol, c.Method, c.Status = a.req.Protocol, a.req.Method, a.req.Status
	c.Path, c.Host = bytes.Clone(a.req.Path), bytes.Clone(a.req.Host)
}

// callError says why a call was not answered.
func callError(c *request.Call, errno uint16) string {
	switch {
	case unix.Errno(errno) == unix.ECONNREFUSED:
		return request.ErrorNoConnection
	case c.GotLast.Seen():
		return ""
	}
	return errorType(errno)
}

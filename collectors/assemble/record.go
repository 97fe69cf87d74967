package assemble

import (
	"bytes"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
	"lapwing/collectors/text"
	"lapwing/probes/socket/wire"
)

// fill sets a.req from a record. It returns false if the record is of no known
// protocol.
func (a *Assembler) fill(r wire.Record) bool {
	a.base(r)
	a.progress(r)
	a.req.Seq = r.Seq
	a.framed = framedOf(r)
	if instead := a.decoder.Request(&a.req, &a.framed); instead != "" {
		a.counts.unknownAdd(instead)
		return false
	}
	if a.req.Links.Calls {
		a.req.Links.Clue = request.NewClue(r.RequestHead())
	}
	return true
}

// base sets what all requests of the connection share.
func (a *Assembler) base(r wire.Record) {
	a.req = request.Request{
		Conn:        r.Conn,
		AcceptorTID: r.AcceptorTid,
		Stamps: request.Stamps{
			Established: request.Stamp(r.Established),
			Accepted:    request.Stamp(r.Accepted),
		},
		Links: request.Links{Caller: r.Caller},
	}
	name, client := splitName(r)
	a.req.Client = client
	a.req.Local, a.req.Peer = endpoints(r, name)
}

// progress sets what a record says about one request.
func (a *Assembler) progress(r wire.Record) {
	q := &a.req
	q.Arrived = request.Stamp(r.Arrived)
	q.ReadFirst = request.Stamp(r.ReadFirst)
	q.ArrivedLast = request.Stamp(r.ArrivedLast)
	q.ReadLast = request.Stamp(r.ReadLast)
	q.WriteFirst = request.Stamp(r.WriteFirst)
	q.WriteLast = request.Stamp(r.WriteLast)
	q.Acked = request.Stamp(r.Acked)
	q.Closed = request.Stamp(r.Closed)
	if q.Marker = request.Stamp(r.Marker); q.Marker.Seen() {
		q.Boundary = request.BoundaryMarker
	}
	q.ClientWait = time.Duration(r.ClientWait)
	q.Blocked = time.Duration(r.Blocked)
	q.Produce = time.Duration(r.Produce)
	q.RequestBytes, q.ResponseBytes = r.RequestBytes, r.ResponseBytes
	q.PID, q.TID, q.WriterTID = r.Pid, r.Tid, r.WriterTid
	q.Comm = a.comms.of(r.Command())
	q.Flags = flagsOf(r.Marks)
	q.Links.Cause = request.Ref{Conn: r.Cause, Seq: r.CauseSeq}
	q.Links.Calls = r.Marks&wire.MarkCaller != 0
	if q.Produce >= protocol.StreamPause {
		q.Flags |= request.Streamed
	}
}

func flagsOf(marks uint16) request.Flags {
	var f request.Flags
	for _, m := range [...]struct {
		mark uint16
		flag request.Flags
	}{
		{wire.MarkPipelined, request.Pipelined},
		{wire.MarkEarly, request.EarlyResponse},
		{wire.MarkContinued, request.Continued},
		{wire.MarkUpgraded, request.Upgraded},
	} {
		if marks&m.mark != 0 {
			f |= m.flag
		}
	}
	return f
}

func errorType(errno uint16) string {
	switch unix.Errno(errno) {
	case unix.ECONNRESET, unix.EPIPE:
		return request.ErrorReset
	case unix.ETIMEDOUT:
		return request.ErrorTimeout
	}
	return request.ErrorClosed
}

// setError sets the reason why a request has no complete response.
func (a *Assembler) setError(r wire.Record) {
	unanswered := !a.req.WriteFirst.Seen() && !a.req.WriteLast.Seen()
	why := errorType(r.Error)
	switch end := r.ResponseEnd(); {
	case unanswered, end == wire.EndOpen, end == wire.EndClose && why == request.ErrorReset:
		a.req.Error = why
	}
}

// statusErrors are the error types of responses with a status of 500 to 599.
var statusErrors = func() (all [100]string) {
	for i := range all {
		all[i] = string([]byte{'5', byte('0' + i/10), byte('0' + i%10)})
	}
	return all
}()

func statusError(status int) string {
	if i := status - 500; i >= 0 && i < len(statusErrors) {
		return statusErrors[i]
	}
	return "_OTHER"
}

func endpoints(r wire.Record, name []byte) (local, peer request.Endpoint) {
	switch r.Family {
	case unix.AF_UNIX:
		return request.Endpoint{IsUn: true, Unix: text.Cut(unixName(name), text.MaxSocket)}, request.Endpoint{IsUn: true}
	case unix.AF_INET:
		local.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte(r.Local[:4])), r.LocalPort)
		peer.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte(r.Peer[:4])), r.PeerPort)
	default:
		local.Addr = netip.AddrPortFrom(netip.AddrFrom16(r.Local).Unmap(), r.LocalPort)
		peer.Addr = netip.AddrPortFrom(netip.AddrFrom16(r.Peer).Unmap(), r.PeerPort)
	}
	return local, peer
}

// unixName cuts a path at its end. An abstract name starts with a zero byte, which
// is shown as @ by convention.
func unixName(name []byte) []byte {
	if len(name) > 1 && name[0] == 0 {
		name[0] = '@'
		return name
	}
	if end := bytes.IndexByte(name, 0); end >= 0 {
		return name[:end]
	}
	return name
}

// comms interns the command names of threads, because there are few names but each
// record has one.
type comms map[[16]byte]string

const maxComms = 4096

func (c comms) of(name *[16]byte) string {
	if s, ok := c[*name]; ok {
		return s
	}
	if len(c) >= maxComms {
		clear(c)
	}
	s := unix.ByteSliceToString(name[:])
	c[*name] = s
	return s
}

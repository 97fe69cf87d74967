package assemble

import (
	"lapwing/collectors/request"
	"lapwing/probes/socket"
)

// hold keeps a request whose response had not ended, by its framing, when the
// server read the next request. An event-driven server may go on writing it:
// then events follow for the connection.
func (a *Assembler) hold(r socket.Record) { a.held[r.Conn] = a.progressOf(r) }

// release hands out a held request as it is: the connection went on, and what
// became of its response was not seen.
func (a *Assembler) release(conn uint64) {
	if len(a.held) == 0 {
		return
	}
	h, ok := a.held[conn]
	if !ok {
		return
	}
	delete(a.held, conn)
	h.Request.Flags |= request.EndUnknown
	h.Request.WriteLast, h.Request.Acked = 0, 0
	a.export(&h.Request)
}

package assemble

import (
	"bytes"

	"lapwing/collectors/request"
	"lapwing/probes/socket"
)

// heldResponse is a request whose response had not ended, by its framing, when
// the server read the next request. An event-driven server may go on writing
// it: then events follow for the connection.
type heldResponse struct {
	req      *request.Request
	reqHead  []byte
	respHead []byte
}

func (a *Assembler) hold(r socket.Record) {
	a.held[r.Conn] = &heldResponse{
		req:      a.req.Clone(),
		reqHead:  bytes.Clone(r.RequestHead()),
		respHead: bytes.Clone(r.ResponseHead()),
	}
}

// release hands out a held request as it is: the connection went on without
// more of its response.
func (a *Assembler) release(conn uint64) {
	if len(a.held) == 0 {
		return
	}
	h, ok := a.held[conn]
	if !ok {
		return
	}
	delete(a.held, conn)
	h.req.Error = request.ErrorClosed
	a.export(h.req)
}

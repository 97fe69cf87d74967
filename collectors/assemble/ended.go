package assemble

import (
	"lapwing/collectors/protocol/http1"
	"lapwing/probes/socket"
)

// Ended reports whether the response in a record that the kernel has not
// handed out yet is complete. Where its framing does not tell, it is.
func Ended(r socket.Record) bool {
	var a Assembler
	if !http1.ParseRequest(r.RequestHead(), &a.reqHead).IsHead() || len(r.ResponseHead()) == 0 || !a.parseResponse(r.ResponseHead()) {
		return true
	}
	return a.completeness(r) != http1.No
}

package fastcgi

import (
	"bytes"

	"lapwing/collectors/protocol"
)

// Name is the protocol's, in the list of protocols and in requests.
const Name = "fastcgi"

// New makes the pairer of a connection.
func New(o protocol.Options) protocol.Pairer {
	p := &Pairer{opts: o, shared: o.Shared(), seq: o.Base.Seq}
	p.shared.Protocol = Name
	return p
}

// getValues is how a connection begins on which the front end first asks what
// the server can do.
var getValues = []byte{version, typeGetValues, 0, 0}

// Detect looks for the record that begins a request, or for the question that
// may come before it.
func Detect(b []byte) protocol.Match {
	switch {
	case begins(b):
		return protocol.Yes
	case len(b) >= headerLen && bytes.HasPrefix(b, getValues):
		return protocol.Yes
	case len(b) >= headerLen:
		return protocol.No
	case len(b) > 0 && b[0] != version, len(b) > 1 && b[1] != typeBegin && b[1] != typeGetValues:
		return protocol.No
	}
	return protocol.Maybe
}

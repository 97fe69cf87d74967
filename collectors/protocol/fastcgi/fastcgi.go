package fastcgi

import (
	"bytes"

	"lapwing/collectors/protocol"
)

// Name is the name of the protocol, in the list of protocols and in requests.
const Name = "fastcgi"

// New returns the pairer of a connection.
func New(o protocol.Options) protocol.Pairer {
	p := &Pairer{opts: o, shared: o.Shared(), seq: o.Base.Seq}
	p.shared.Protocol = Name
	return p
}

// getValues starts a connection on which the front end first asks what the server
// supports.
var getValues = []byte{version, typeGetValues, 0, 0}

// Detect looks for the record that starts a request, or for a GET_VALUES record,
// which may come before it.
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

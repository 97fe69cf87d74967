package http1

import "lapwing/collectors/protocol"

// Name is the name of the protocol in the list of protocols. Requests are named by
// their version, see ProtocolHTTP11.
const Name = "http1"

var (
	_ protocol.Pairer  = (*Pairer)(nil)
	_ protocol.Resumer = (*Pairer)(nil)
)

// Detect decides whether b starts with an HTTP/1 request.
func Detect(b []byte) protocol.Match {
	var h RequestHead
	switch verdict := ParseRequest(b[skipBreaks(b):], &h); {
	case !verdict.IsHead():
		return protocol.No
	case h.Method == "" && len(b) < protocol.MatchBytes:
		return protocol.Maybe
	}
	return protocol.Yes
}

// New is NewPairer with the signature that the list of protocols needs.
func New(o protocol.Options) protocol.Pairer { return NewPairer(o) }

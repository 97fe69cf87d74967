package detect

import (
	"bytes"

	"lapwing/collectors/protocol"
	"lapwing/collectors/protocol/fastcgi"
	"lapwing/collectors/protocol/http1"
	"lapwing/collectors/protocol/modwsgi"
	"lapwing/collectors/protocol/mysql"
	"lapwing/collectors/protocol/passenger"
	"lapwing/collectors/protocol/postgres"
	"lapwing/collectors/protocol/redis"
	"lapwing/collectors/protocol/scgi"
	"lapwing/collectors/protocol/uwsgi"
)

// protocols are all known protocols. If the bytes match several, the first one is
// used.
var protocols = []protocol.Protocol{
	{Name: http1.Name, Detect: http1.Detect, New: http1.New, Decoder: http1.NewDecoder},
	{Name: fastcgi.Name, Detect: fastcgi.Detect, New: fastcgi.New},
	{Name: scgi.Name, Detect: scgi.Detect, New: scgi.New},
	{Name: modwsgi.Name, Detect: modwsgi.Detect, New: modwsgi.New},
	{Name: passenger.Name, Detect: passenger.Detect, New: passenger.New},
	{Name: uwsgi.Name, Detect: uwsgi.Detect, New: uwsgi.New},
	{Name: postgres.Name, Calls: postgres.Calls},
	{Name: mysql.Name, Calls: mysql.Calls},
	{Name: redis.Name, Calls: redis.Calls},
}

// NoProtocol is the reason under which a connection of no known protocol is
// counted.
var NoProtocol = http1.NotHTTP.String()

// Decoder returns a decoder for the protocol that the kernel frames by itself.
func Decoder() protocol.Decoder {
	for _, p := range protocols {
		if p.Decoder != nil {
			return p.Decoder()
		}
	}
	panic("no protocol is framed by the kernel")
}

// Call returns the name of the protocol of a call, or "". A call of an unknown
// protocol is timed, too. b holds the first bytes of the call, and sent is the
// number of bytes of the whole call.
func Call(b []byte, sent uint64) string {
	for _, p := range protocols {
		if p.Calls != nil && p.Calls(b, sent) {
			return p.Name
		}
	}
	return ""
}

// Of finds the protocol of a connection by its first bytes. It returns No if they
// match no protocol, and Maybe if more bytes are needed.
func Of(b []byte) (protocol.Protocol, protocol.Match) {
	match := protocol.No
	for _, p := range protocols {
		if p.Detect == nil {
			continue
		}
		switch p.Detect(b) {
		case protocol.Yes:
			return p, protocol.Yes
		case protocol.Maybe:
			match = protocol.Maybe
		}
	}
	return protocol.Protocol{}, match
}

// Reason says what the first bytes of a connection of no known protocol are.
func Reason(b []byte) string {
	var head http1.RequestHead
	switch verdict := http1.ParseRequest(b, &head); {
	case bytes.HasPrefix(b, []byte("PRI ")):
		return http1.HTTP2.String()
	case !verdict.IsHead():
		return verdict.String()
	}
	return NoProtocol
}

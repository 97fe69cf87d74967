package front

import (
	"fmt"
	"strings"

	"lapwing/cmd/refserver/gateway"
	"lapwing/cmd/refserver/httpio"
)

// upstream is the destination of requests and its protocol.
type upstream struct {
	address string // as for sock.Dial
	encode  encoder
	decode  func() unwrapper
}

// encoder appends a request in the protocol of the upstream server.
type encoder func(b []byte, h *httpio.Head, target, body []byte) ([]byte, error)

// parseUpstream parses http://127.0.0.1:9000, fastcgi://unix:/run/app.sock and
// the like.
func parseUpstream(s string) (upstream, error) {
	scheme, address, ok := strings.Cut(s, "://")
	u := upstream{address: strings.TrimSuffix(address, "/"), decode: newPlainHTTP}
	switch {
	case !ok || u.address == "":
		ok = false
	case scheme == "http":
		u.encode = encodeHTTP
	case scheme == "fastcgi":
		u.encode, u.decode = encodeFastCGI, newFastCGI
	case scheme == "uwsgi":
		u.encode = encodeUWSGI
	case scheme == "scgi":
		u.encode, u.decode = encodeSCGI, newPlainCGI
	default:
		ok = false
	}
	if !ok {
		return upstream{}, fmt.Errorf("upstream %q: give --upstream as http://127.0.0.1:9000 or fastcgi://unix:/path; the protocols are http, fastcgi, uwsgi and scgi", s)
	}
	return u, nil
}

// encodeHTTP uses HTTP/1.0, so that the response ends with the connection.
func encodeHTTP(b []byte, h *httpio.Head, target, body []byte) ([]byte, error) {
	b = append(append(append(b, h.Method...), ' '), target...)
	b = append(b, " HTTP/1.0\r\nConnection: close\r\n"...)
	if id := h.ID(); len(id) > 0 {
		b = appendField(b, []byte("X-Request-Id"), id)
	}
	for name, value := range h.EndToEnd() {
		b = appendField(b, name, value)
	}
	if len(h.ContentType) > 0 {
		b = appendField(b, []byte("Content-Type"), h.ContentType)
	}
	if h.HasBody() || h.ContentLength == 0 {
		b = fmt.Appendf(b, "Content-Length: %d\r\n", len(body))
	}
	return append(append(b, "\r\n"...), body...), nil
}

func appendField(b, name, value []byte) []byte {
	b = append(append(append(b, name...), ": "...), value...)
	return append(b, "\r\n"...)
}

func encodeFastCGI(b []byte, h *httpio.Head, target, body []byte) ([]byte, error) {
	return gateway.AppendFastCGI(b, gateway.Vars(h, target, len(body)), body)
}

func encodeUWSGI(b []byte, h *httpio.Head, target, body []byte) ([]byte, error) {
	b, err := gateway.AppendUWSGI(b, gateway.Vars(h, target, len(body)))
	return append(b, body...), err
}

func encodeSCGI(b []byte, h *httpio.Head, target, body []byte) ([]byte, error) {
	b, err := gateway.AppendSCGI(b, gateway.Vars(h, target, len(body)))
	return append(b, body...), err
}

package assemble

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"lapwing/probes/socket/wire"
)

// proxySignature is the start of a binary PROXY header.
const proxySignature = "\r\n\r\n\x00\r\nQUIT\n"

// splitName separates the PROXY header from the end of a record's name. It returns
// the client that the header names: the one that connected to the balancer. The
// address is not valid if the header names none.
func splitName(r wire.Record) (name []byte, client netip.AddrPort) {
	name = r.Name()
	if r.Marks&wire.MarkProxied == 0 {
		return name, client
	}
	if at := bytes.LastIndex(name, []byte(proxySignature)); at >= 0 {
		return name[:at], binaryClient(name[at:])
	}
	if at := bytes.LastIndex(name, []byte("PROXY ")); at >= 0 {
		return name[:at], textClient(string(name[at:]))
	}
	return name, client
}

// textClient reads "PROXY TCP4 client server port port".
func textClient(header string) (client netip.AddrPort) {
	words := strings.Fields(header)
	if len(words) < 6 {
		return client
	}
	ip, err := netip.ParseAddr(words[2])
	port, wrong := strconv.ParseUint(words[4], 10, 16)
	if err != nil || wrong != nil {
		return client
	}
	return netip.AddrPortFrom(ip, uint16(port))
}

// binaryClient reads the binary form. If a balancer only checks a server, it speaks
// for itself and names no client.
func binaryClient(header []byte) (client netip.AddrPort) {
	const fixed, proxied, tcp4, tcp6 = 16, 0x21, 0x11, 0x21
	if len(header) < fixed || header[12] != proxied {
		return client
	}
	switch body := header[fixed:]; {
	case header[13] == tcp4 && len(body) >= 12:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(body)), binary.BigEndian.Uint16(body[8:]))
	case header[13] == tcp6 && len(body) >= 36:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(body)), binary.BigEndian.Uint16(body[32:]))
	}
	return client
}

package assemble

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/wire"
)

func TestClientOfAProxyHeader(t *testing.T) {
	const v2 = proxySignature
	const ip4 = "\xc0\x00\x02\x01" + "\xc0\x00\x02\x02" + "\x04\xd2" + "\x00\x50"
	const ip6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07"
	for header, want := range map[string]string{
		"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n":                  "192.0.2.1:1234",
		"PROXY TCP6 2001:db8::7 2001:db8::8 65535 443\r\n":            "[2001:db8::7]:65535",
		"PROXY UNKNOWN\r\n":                                           "",
		"PROXY TCP4 192.0.2.1 192.0.2.2 123456 80\r\n":                "",
		"PROXY TCP4 here there 1234 80\r\n":                           "",
		v2 + "\x21\x11\x00\x0c" + ip4:                                 "192.0.2.1:1234",
		v2 + "\x21\x11\x00\x20" + ip4 + "\x03\x00\x04abcd":            "192.0.2.1:1234",
		v2 + "\x21\x21\x00\x24" + ip6 + ip6 + "\x04\xd2" + "\x00\x50": "[2001:db8::7]:1234",
		v2 + "\x20\x11\x00\x0c" + ip4:                                 "",
		v2 + "\x21\x11\x00\x0c" + ip4[:8]:                             "",
	} {
		for _, socketName := range []string{"", "/run/app.sock\x00"} {
			f := fields()
			f.Marks = wire.MarkProxied
			name, client := splitName(wire.Compose(f, []byte(socketName+header), nil, nil))
			assert.Equal(t, socketName, string(name), "%q", header)
			if want == "" {
				assert.False(t, client.IsValid(), "%q", header)
			} else {
				assert.Equal(t, want, client.String(), "%q", header)
			}
		}
	}
}

func TestProxiedRequestHasItsClient(t *testing.T) {
	var got sink
	a := newAssembler(t, got.take)
	f := fields()
	f.Marks = wire.MarkProxied
	wire.SetResponseEnd(&f, wire.EndSeen)
	a.HandleRecord(wire.Final, wire.Compose(f, []byte("PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n"), []byte(getHead), nil))
	require.Len(t, got, 1)
	assert.Equal(t, netip.MustParseAddrPort("192.0.2.1:1234"), got[0].Client)
	assert.Equal(t, "127.0.0.1:40000", got[0].Peer.String(), "the peer is the balancer")
}

package gateways

import (
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

const lighttpdFrame = `
server.document-root = "DIR"
server.bind = "%s"
server.port = %s
server.errorlog = "DIR/lighttpd.log"
server.modules = ( "mod_fastcgi" )
fastcgi.server = ( "/%s" => (( "host" => "%s", "port" => %s, "check-local" => "disable" )) )
`

// behindLighttpd starts lighttpd in front of the FastCGI socket of another hop.
func (s *site) behindLighttpd(t *testing.T, back hop) []hop {
	t.Helper()
	back.name, back.front = "lighttpd", harness.FreeAddress(t)
	host, port, err := net.SplitHostPort(back.front)
	require.NoError(t, err)
	backHost, backPort, err := net.SplitHostPort(back.local)
	require.NoError(t, err)
	s.write(t, "lighttpd.conf", fmt.Sprintf(lighttpdFrame, host, port, back.name, backHost, backPort))
	s.start(t, back.front, harness.Installed(t, "lighttpd"), "-D", "-f", "DIR/lighttpd.conf")
	return []hop{back}
}

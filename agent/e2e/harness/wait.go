package harness

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Eventually polls until the condition holds. After the limit it fails the test
// and names what it waited for.
func Eventually(t testing.TB, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	require.True(t, Within(limit, cond), "%s did not happen within %s", what, Slow(limit))
}

// Within polls until the condition holds, and reports whether it did in time.
func Within(limit time.Duration, cond func() bool) bool {
	for deadline := time.Now().Add(Slow(limit)); ; {
		if cond() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// The ports of the addresses that are handed out. They are below those that the
// kernel gives to sockets without a chosen port. A server that opens such a
// socket (uWSGI's router does) could otherwise take the address of a server
// that starts later.
const firstPort, portsInAll = 20_000, 10_000

var nextPort atomic.Uint32

// FreeAddress returns a loopback address with a port on which no process
// listens, and that was not handed out recently.
func FreeAddress(t testing.TB) string {
	t.Helper()
	nextPort.CompareAndSwap(0, uint32(os.Getpid()*97))
	for range portsInAll {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+nextPort.Add(1)%portsInAll)
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	require.Fail(t, "no port is free")
	return ""
}

// Port returns the port of an address.
func Port(t testing.TB, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err, "address %q", address)
	return port
}

// AwaitListener waits until a server accepts connections at the address. It
// opens a connection and sends nothing.
func AwaitListener(t testing.TB, p *Process, address string) {
	t.Helper()
	Eventually(t, 10*time.Second, "a listener at "+address, func() bool {
		require.False(t, p.Exited(), "%s ended before it listened at %s:\n%s", p.Name, address, p.Stderr())
		return Listens(address)
	})
}

// Listens reports whether a server accepts connections at the address. It opens
// a connection and sends nothing.
func Listens(address string) bool {
	c, err := net.DialTimeout("tcp", address, time.Second)
	return err == nil && c.Close() == nil
}

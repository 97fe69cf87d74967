package harness

import (
	"net"
	"testing"
	"time"
)

// Eventually polls until the condition holds, or fails the test with what was
// waited for.
func Eventually(t testing.TB, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	if !Within(limit, cond) {
		t.Fatalf("%s did not happen within %s", what, Slow(limit))
	}
}

// Within polls until the condition holds and reports whether it did in time.
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

// FreeAddress is a loopback address with a port that nobody listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Port is the port of an address.
func Port(t testing.TB, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatalf("address %q: %v", address, err)
	}
	return port
}

// AwaitListener waits until somebody accepts connections at the address. It
// opens a connection and says nothing on it.
func AwaitListener(t testing.TB, p *Process, address string) {
	t.Helper()
	Eventually(t, 10*time.Second, "a listener at "+address, func() bool {
		if p.Exited() {
			t.Fatalf("%s ended before it listened at %s:\n%s", p.Name, address, p.Stderr())
		}
		return Listens(address)
	})
}

// Listens reports whether somebody accepts connections at the address. It
// opens a connection and says nothing on it.
func Listens(address string) bool {
	c, err := net.DialTimeout("tcp", address, time.Second)
	return err == nil && c.Close() == nil
}

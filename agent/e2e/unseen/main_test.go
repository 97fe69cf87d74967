package unseen

import (
	"os"
	"testing"
	"time"

	"lapwing/agent/e2e/harness"
)

// waitForLast is the longest wait for the last record.
const waitForLast = 5 * time.Second

func TestMain(m *testing.M) {
	splice()
	os.Exit(harness.Main(m))
}

// network returns the network of an address.
func network(address string) string {
	if address[0] == '/' {
		return "unix"
	}
	return "tcp"
}

// local returns an address as records show it.
func local(address string) string {
	if network(address) == "unix" {
		return "unix:" + address
	}
	return address
}

package unseen

import (
	"os"
	"testing"
	"time"

	"lapwing/agent/e2e/harness"
)

// waitForLast is how long the last record may take.
const waitForLast = 5 * time.Second

func TestMain(m *testing.M) {
	splice()
	os.Exit(harness.Main(m))
}

// network is that of an address.
func network(address string) string {
	if address[0] == '/' {
		return "unix"
	}
	return "tcp"
}

// local is an address as records have it.
func local(address string) string {
	if network(address) == "unix" {
		return "unix:" + address
	}
	return address
}

package e2e

import (
	"os"
	"testing"

	"lapwing/agent/e2e/harness"
	"lapwing/agent/e2e/peer"
)

func TestMain(m *testing.M) {
	peer.Main()
	hostileMain()
	os.Exit(harness.Main(m))
}

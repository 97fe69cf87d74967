package e2e

import (
	"fmt"
	"os"
	"testing"

	"lapwing/agent/e2e/harness"
	"lapwing/agent/e2e/peer"
)

func TestMain(m *testing.M) {
	peer.Main()
	status := m.Run()
	if err := harness.Cleanup(); err != nil {
		fmt.Fprintln(os.Stderr, "clean up:", err)
		status = 1
	}
	os.Exit(status)
}

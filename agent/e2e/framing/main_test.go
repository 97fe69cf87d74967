package framing

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"lapwing/agent/e2e/harness"
	"lapwing/agent/e2e/peer"
)

// beside is the number of rows played at once. They sleep most of the time.
const beside = "80"

func TestMain(m *testing.M) {
	peer.Main()
	goServer()
	flag.Parse()
	if err := flag.Set("test.parallel", beside); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(harness.Main(m))
}

package hostile

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

// addressFile makes the test binary a server that writes its address to the
// file.
const addressFile = "LAPWING_TEST_ADDRESS_FILE"

func TestMain(m *testing.M) {
	if file := os.Getenv(addressFile); file != "" {
		fmt.Fprintln(os.Stderr, serve(file))
		os.Exit(1)
	}
	if os.Getenv(unitCalls) != "" {
		fmt.Fprintln(os.Stderr, underFilter(os.Args[1:]))
		os.Exit(1)
	}
	os.Exit(harness.Main(m))
}

func serve(file string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".new", []byte(listener.Addr().String()), 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	return http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n")
	}))
}

// startServers starts a server for each argv[0], and returns their addresses.
// They run a file called busybox, which contains programs that are selected by
// argv[0].
func startServers(t *testing.T, names ...string) []string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	busybox := filepath.Join(dir, "busybox")
	if os.Link(self, busybox) != nil { // on another file system
		raw, err := os.ReadFile(self)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(busybox, raw, 0o755))
	}
	var addresses []string
	for i, name := range names {
		file := filepath.Join(dir, fmt.Sprint("address", i))
		cmd := exec.Command(busybox)
		cmd.Args = []string{name}
		cmd.Env = []string{addressFile + "=" + file, "GOMAXPROCS=1"}
		harness.Start(t, cmd)
		var address []byte
		harness.Eventually(t, harness.Slow(10*time.Second), "a server listens", func() bool {
			address, err = os.ReadFile(file)
			return err == nil
		})
		addresses = append(addresses, string(address))
	}
	return addresses
}

func ask(t *testing.T, url string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
}

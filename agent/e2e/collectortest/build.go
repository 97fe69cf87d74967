package collectortest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"lapwing/agent/e2e/harness"
)

// binary builds the Collector, once per process, and returns its path. The
// first build on a machine takes a minute; later ones find it in Go's cache.
var binary = sync.OnceValues(func() (string, error) {
	root, err := harness.FindModuleRoot()
	if err != nil {
		return "", err
	}
	build := filepath.Join(root, "build")
	if err := os.MkdirAll(build, 0o755); err != nil {
		return "", fmt.Errorf("making the build directory: %w", err)
	}
	unlock, err := lock(filepath.Join(build, "collector.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(build, "collector")
	cmd := exec.Command("go", "build", "-C", filepath.Join(root, "agent", "e2e", "collector"), "-o", path, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the Collector: %w\n%s", err, out)
	}
	return path, nil
})

// lock keeps the test processes of several packages from building at once.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the build's lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, fmt.Errorf("waiting for the build's lock: %w", err)
	}
	return func() { file.Close() }, nil
}

package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// BuildModule builds a command of one of the modules next to the end-to-end
// tests and returns its path. The command stays in the folder build, so that
// the next run only links it if something changed.
func BuildModule(module, command string, flags ...string) (string, error) {
	root, err := FindModuleRoot()
	if err != nil {
		return "", err
	}
	build := filepath.Join(root, "build")
	if err := os.MkdirAll(build, 0o755); err != nil {
		return "", fmt.Errorf("making the build directory: %w", err)
	}
	path := filepath.Join(build, module)
	unlock, err := lock(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	cmd := exec.Command("go", "build", "-C", filepath.Join(root, "agent", "e2e", module), "-o", path)
	cmd.Args = append(append(cmd.Args, flags...), command)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%.4000s", module, err, out)
	}
	return path, nil
}

// lock keeps the test processes of several packages from building at the same
// time.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the build's lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("waiting for the build's lock: %w", err)
	}
	return func() { _ = file.Close() }, nil
}

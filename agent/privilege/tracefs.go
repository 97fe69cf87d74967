package privilege

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// tracefsPoints are where tracefs is mounted; the second comes with debugfs.
var tracefsPoints = []string{"sys/kernel/tracing", "sys/kernel/debug/tracing"}

// findTracefs finds the directory that lists the kernel's tracepoints. Where
// it exists but cannot be read, the error is os.ErrPermission.
func (h host) findTracefs() (string, error) {
	var firstErr error
	for _, point := range tracefsPoints {
		_, err := os.Stat(h.path(point + "/events"))
		if err == nil {
			return h.path(point), nil
		}
		if firstErr == nil || os.IsPermission(err) {
			firstErr = err
		}
	}
	return "", fmt.Errorf("find tracefs: %w", firstErr)
}

// MountTracefs mounts tracefs where it belongs, unless it is there already.
// That takes CAP_SYS_ADMIN.
func MountTracefs() error {
	if _, err := (host{root: "/"}).findTracefs(); err == nil {
		return nil
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("tracefs", "/sys/kernel/tracing", "tracefs", flags, ""); err != nil {
		return fmt.Errorf("mount tracefs at /sys/kernel/tracing: %w", err)
	}
	return nil
}

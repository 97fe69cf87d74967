package privilege

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// tracefsPoints are the mount points of tracefs; the second comes with debugfs.
var tracefsPoints = []string{"sys/kernel/tracing", "sys/kernel/debug/tracing"}

// hasTracefs reports whether tracefs is mounted. A directory that may not be
// read counts as mounted.
func (h host) hasTracefs() bool {
	for _, point := range tracefsPoints {
		if _, err := os.Stat(h.path(point + "/events")); err == nil || errors.Is(err, os.ErrPermission) {
			return true
		}
	}
	return false
}

// MountTracefs mounts tracefs at its usual place, unless it is mounted already.
// This needs CAP_SYS_ADMIN.
func MountTracefs() error {
	if (host{root: "/"}).hasTracefs() {
		return nil
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("tracefs", "/sys/kernel/tracing", "tracefs", flags, ""); err != nil {
		return fmt.Errorf("mount tracefs at /sys/kernel/tracing: %w", err)
	}
	return nil
}

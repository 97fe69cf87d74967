package service

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
)

// shortID is how many characters of a container id tools show.
const shortID = 12

var (
	// containerID matches the 64 hexadecimal digits with which Docker, containerd,
	// CRI-O and Podman name the control group of a container, and what comes before
	// them: docker-<id>.scope, cri-containerd-<id>.scope, libpod-<id>.scope,
	// /docker/<id>, /kubepods/…/<id>, …:cri-containerd:<id>.
	containerID = regexp.MustCompile(`(?:^|[-:/])([0-9a-f]{64})(?:\.scope)?$`)
	// machine matches containers that have a name instead of an id: LXC, nspawn.
	machine = regexp.MustCompile(`^(?:lxc\.payload\.(.+)|machine-(.+)\.scope)$`)
)

// containerOf returns the container in a process's control group paths. The
// innermost one counts, because a container may run containers.
func containerOf(paths []string) string {
	for _, path := range paths {
		parts := components(path)
		for i := len(parts) - 1; i >= 0; i-- {
			if id := containerIn(parts[i]); id != "" {
				return id
			}
		}
	}
	return ""
}

func containerIn(part string) string {
	// conmon is a helper of Podman and CRI-O that runs beside the container.
	if strings.Contains(part, "conmon-") {
		return ""
	}
	if m := containerID.FindStringSubmatch(part); m != nil {
		return m[1]
	}
	if m := machine.FindStringSubmatch(part); m != nil {
		return unescapeUnit(cmp.Or(m[1], m[2]))
	}
	return ""
}

// unitOf returns the systemd service in a process's control group paths. What a
// person starts from a session belongs to no service, and the groups of user
// managers say nothing about the service.
func unitOf(paths []string) string {
	for _, path := range paths {
		parts := components(path)
		if len(parts) == 0 || parts[0] == "user.slice" {
			continue
		}
		for i := len(parts) - 1; i >= 0; i-- {
			if strings.HasSuffix(parts[i], ".service") {
				return unescapeUnit(parts[i])
			}
		}
	}
	return ""
}

// components splits a control group path. A path that is seen from another control
// group namespace starts with "/..".
func components(path string) []string {
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		if part != "" && part != ".." {
			parts = append(parts, part)
		}
	}
	return parts
}

// unescapeUnit undoes systemd's \xNN escapes.
func unescapeUnit(unit string) string {
	if !strings.Contains(unit, `\x`) {
		return unit
	}
	var b strings.Builder
	for i := 0; i < len(unit); i++ {
		if i+4 <= len(unit) && unit[i] == '\\' && unit[i+1] == 'x' {
			if c, err := strconv.ParseUint(unit[i+2:i+4], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(unit[i])
	}
	return b.String()
}

// shorten cuts a container id to the length that tools show. Names stay as they
// are.
func shorten(id string) string {
	if len(id) == 64 {
		return id[:shortID]
	}
	return id
}

package privilege

import (
	"cmp"
	"strings"

	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// need is a capability that the agent uses.
type need struct {
	value  cap.Value
	or     cap.Value // another capability that implies it
	root   bool      // user 0 does not need it
	remain bool      // needed as long as the agent runs
}

// needs applies to all supported kernels. CAP_BPF and CAP_PERFMON came with
// Linux 5.8. Since 5.11, maps do not count against the limit of locked memory,
// which needed CAP_SYS_RESOURCE before.
var needs = []need{
	{value: cap.BPF, or: cap.SYS_ADMIN},                                          // maps and programs
	{value: cap.PERFMON, or: cap.SYS_ADMIN},                                      // tracing programs, kernel memory
	{value: cap.SYS_PTRACE, or: cap.SYS_PTRACE, remain: true},                    // links below /proc/PID of other users
	{value: cap.DAC_READ_SEARCH, or: cap.DAC_OVERRIDE, root: true, remain: true}, // tracefs, /proc/PID/fd
}

// mapsNeedBPF is the first kernel on which a process can use its open maps
// without CAP_BPF if unprivileged BPF is disabled.
var mapsNeedBPF = version{5, 19}

// Standing lists the capabilities that the agent still needs once its probes
// are attached.
func Standing() []cap.Value {
	release, _ := kernelRelease()
	return standing(release)
}

func standing(release string) []cap.Value {
	var keep []cap.Value
	for _, n := range needs {
		if n.remain {
			keep = append(keep, n.value)
		}
	}
	if v, ok := parseVersion(release); ok && v.before(mapsNeedBPF) {
		keep = append(keep, cap.BPF)
	}
	return keep
}

// missing lists the needed capabilities that are not effective.
func missing(have *cap.Set, uid int) []cap.Value {
	var absent []cap.Value
	for _, n := range needs {
		if !effective(have, n.value) && !effective(have, n.or) && !(n.root && uid == 0) {
			absent = append(absent, n.value)
		}
	}
	return absent
}

func effective(have *cap.Set, v cap.Value) bool {
	on, err := have.GetFlag(cap.Effective, v)
	return err == nil && on
}

// join joins the names of capabilities in a style.
func join(values []cap.Value, style func(string) string, sep string) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = style(v.String())
	}
	return strings.Join(texts, sep)
}

// missingProblem names the missing capabilities and how to give them.
func missingProblem(absent []cap.Value, uid int, exe string) Problem {
	verb := " is missing"
	if len(absent) > 1 {
		verb = " are missing"
	}
	p := Problem{What: join(absent, strings.ToUpper, ", ") + verb}
	if uid == 0 {
		bare := func(name string) string { return "--cap-add=" + strings.TrimPrefix(strings.ToUpper(name), "CAP_") }
		p.Fix = "root lacks these capabilities, as in a container: add them (" + join(absent, bare, " ") + ")"
		return p
	}
	var all []cap.Value
	for _, n := range needs {
		all = append(all, n.value)
	}
	p.Fix = "run as root, or: sudo setcap " + join(all, strings.ToLower, ",") + "=ep " + cmp.Or(exe, "lapwing") +
		", or in a systemd unit: AmbientCapabilities=" + join(all, strings.ToUpper, " ")
	return p
}

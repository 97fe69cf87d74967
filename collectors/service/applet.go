package service

import (
	"path"
	"slices"
	"strings"
)

// multiCall are executables that hold many programs. Which one runs is the
// name they were started by, or their first argument.
var multiCall = []string{"busybox", "toybox"}

func isMultiCall(name string) bool {
	name, _, _ = strings.Cut(name, ".") // busybox.static
	name, _, _ = strings.Cut(name, "-") // busybox-extras
	return slices.Contains(multiCall, name)
}

// applet is the process as if it ran the applet's own executable, and that
// executable's name. Other processes are returned as they are.
func (p process) applet() (process, string) {
	base := path.Base(p.exe)
	if !isMultiCall(base) {
		return p, base
	}
	args := p.args
	if len(args) > 1 && isMultiCall(path.Base(args[0])) {
		args = args[1:]
	}
	if len(args) == 0 { // it hides its command line
		if p.comm != "" {
			base = p.comm
		}
		return p, base
	}
	// A login shell has a dash before its name.
	name := strings.TrimPrefix(path.Base(args[0]), "-")
	p.args = append([]string{name}, args[1:]...)
	return p, name
}

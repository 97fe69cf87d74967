package service

import (
	"path"
	"slices"
	"strings"
)

// multiCall are executables that contain many programs. The name they are started
// with, or the first argument, selects the program.
var multiCall = []string{"busybox", "toybox"}

func isMultiCall(name string) bool {
	name, _, _ = strings.Cut(name, ".") // busybox.static
	name, _, _ = strings.Cut(name, "-") // busybox-extras
	return slices.Contains(multiCall, name)
}

// applet returns the process as if it ran the executable of its applet, and the
// name of that executable. Other processes are returned unchanged.
func (p process) applet() (process, string) {
	base := path.Base(p.exe)
	if !isMultiCall(base) {
		return p, base
	}
	args := p.args
	if len(args) > 1 && isMultiCall(path.Base(args[0])) {
		args = args[1:]
	}
	if len(args) == 0 { // the process hides its command line
		if p.comm != "" {
			base = p.comm
		}
		return p, base
	}
	// The name of a login shell starts with a dash.
	name := strings.TrimPrefix(path.Base(args[0]), "-")
	p.args = append([]string{name}, args[1:]...)
	return p, name
}

package service

import (
	"path"
	"regexp"
	"strings"
)

// maxAncestors limits the steps from a worker to its master.
const maxAncestors = 16

// parentFunc reads the parent of a process. ok is false if no parent can be seen.
type parentFunc func(process) (process, bool)

// programOf returns the name of the program that a process runs: the name of the
// executable, or, for an interpreter, the script, module or class that it was told
// to run.
func programOf(p process, parent parentFunc) string {
	if p.exe == "" {
		return titleProgram(p.comm)
	}
	p, base := p.applet()
	in := interpreterOf(base)
	if in == nil {
		return binaryProgram(base, p.comm)
	}
	if p.mute {
		return in.name
	}
	// A worker that is started with inline code (as Python's multiprocessing does)
	// gets the name of the process that started it. The search ends at another
	// program.
	for range maxAncestors {
		if name := in.program(p); name != "" {
			return name
		}
		up, ok := parent(p)
		if !ok {
			break
		}
		up, base := up.applet()
		if interpreterOf(base) != in {
			break
		}
		p = up
	}
	return in.name
}

var versionSuffix = regexp.MustCompile(`-?[0-9]+(\.[0-9]+)+(-SNAPSHOT)?$`)

// binaryProgram names a program by its executable, without the version that
// distributions append (php-fpm8.2). If the executable is a variant that was
// started through a link with the plain name, it returns the plain name (uwsgi →
// uwsgi-core).
func binaryProgram(base, comm string) string {
	if comm != "" && strings.HasPrefix(base, comm+"-") {
		return comm
	}
	if name := versionSuffix.ReplaceAllString(base, ""); name != "" {
		return name
	}
	return base
}

// titleProgram returns the program in a process title: "gunicorn: worker [shop]",
// "unicorn worker[0] -c …", "puma 6.0.0 (tcp://…)".
func titleProgram(title string) string {
	if end := strings.IndexAny(title, ": "); end > 0 {
		title = title[:end]
	}
	if title == "" {
		return ""
	}
	return path.Base(title)
}

// masterOf returns the topmost ancestor that runs the same program from the same
// executable: the master of a pool of workers.
func masterOf(p process, program string, parent parentFunc) process {
	if p.mute && interpreterOf(path.Base(p.exe)) != nil {
		return p // other processes with this executable may run anything
	}
	for range maxAncestors {
		up, ok := parent(p)
		if !ok || up.exe != p.exe || programOf(up, parent) != program {
			return p
		}
		p = up
	}
	return p
}

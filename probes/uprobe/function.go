package uprobe

import (
	"path"
	"slices"
	"strings"
)

// Function is a function of programs. Globs are separated by |. What is attached to it,
// and whether where it is entered or where it returns, the Kernel knows.
type Function struct {
	Of      string // what it belongs to, for the log
	Program string // globs over the name of the process's executable
	File    string // globs over the name of the file that holds the function
	Symbol  string
	// Cookie tells functions apart: the programs that are attached can read it.
	Cookie uint64
	// Anywhere attaches also where the code has no place for a cheap probe: each call
	// then costs more than 2 µs.
	Anywhere bool
}

// knows reports whether one of the functions is of this program.
func knows(functions []Function, exe string) bool {
	return slices.ContainsFunc(functions, func(f Function) bool { return glob(f.Program, path.Base(exe)) })
}

// in reports whether the file of a process of that program can hold the function, by
// their names.
func (f Function) in(program, file string) bool {
	return glob(f.Program, program) && glob(f.File, file)
}

// glob is path.Match for one of several patterns, which are valid.
func glob(patterns, name string) bool {
	for pattern := range strings.SplitSeq(patterns, "|") {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}

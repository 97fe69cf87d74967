package uprobe

import (
	"path"
	"slices"
	"strings"
)

// Function is a function of programs. Globs are separated by |. The Kernel knows what is
// attached to it, and whether at its entry or its return.
type Function struct {
	Of      string // what it belongs to, for the log
	Program string // globs over the name of the process's executable
	File    string // globs over the name of the file that holds the function
	Symbol  string
	// Cookie identifies the function: the programs that are attached can read it.
	Cookie uint64
	// Anywhere also attaches if the code has no place for a cheap probe. Each call
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

// glob is path.Match for any of several patterns. The patterns are valid.
func glob(patterns, name string) bool {
	for pattern := range strings.SplitSeq(patterns, "|") {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}

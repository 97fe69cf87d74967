package config

import (
	"fmt"
	"strings"
)

// Problem is one error in a configuration.
type Problem struct {
	Where string // file:line, environment variable or flag; empty if unknown
	Key   string // probes.head_bytes; empty if the file as a whole is wrong
	Text  string // the value, why it is wrong, and what is expected
}

func (p Problem) Error() string {
	var parts []string
	for _, part := range []string{p.Where, p.Key, p.Text} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// Problems are all errors of a configuration, in the order of the file. As an
// error they are one line, about the first.
type Problems []Problem

func (p Problems) Error() string {
	if len(p) == 1 {
		return p[0].Error()
	}
	return fmt.Sprintf("%s (and %d more: 'lapwing config check' lists them)", p[0].Error(), len(p)-1)
}

// err returns nil if there are no problems. A typed nil in an error would not
// be nil.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

package service

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Rule gives a service its name. All conditions that are set must hold. A rule has
// at least one.
type Rule struct {
	Name      string `koanf:"name" doc:"Name of the service." example:"shop"`
	Exe       string `koanf:"exe" doc:"Glob that matches the executable: its path if the glob contains a slash, otherwise its file name." example:"gunicorn*"`
	Unit      string `koanf:"unit" doc:"Glob that matches the name of the systemd unit, including its suffix." example:"shop@*.service"`
	Container string `koanf:"container" doc:"Glob that matches the ID or name of the container." example:"3f2a9c*"`
	Cmdline   string `koanf:"cmdline" doc:"Regular expression that matches a part of the command line, with arguments joined by one space." example:"-m shop\\.web"`
	Port      uint16 `koanf:"port" doc:"TCP port that the process listens on." example:"8080"`
}

// Validate returns an error if a rule is not valid. The error starts with the name
// of the wrong key.
func (r Rule) Validate() error {
	_, err := compile(r)
	return err
}

// compiled is a rule with its compiled regular expression.
type compiled struct {
	Rule
	cmdline *regexp.Regexp
}

func compile(r Rule) (compiled, error) {
	if r.Name == "" {
		return compiled{}, errors.New("name: missing: set the name of the service")
	}
	if r == (Rule{Name: r.Name}) {
		return compiled{}, errors.New("name: the rule needs a condition: set exe, unit, container, cmdline or port")
	}
	for key, glob := range map[string]string{"exe": r.Exe, "unit": r.Unit, "container": r.Container} {
		if err := ValidateGlob(glob); err != nil {
			return compiled{}, fmt.Errorf("%s: %w", key, err)
		}
	}
	c := compiled{Rule: r}
	if r.Cmdline != "" {
		re, err := regexp.Compile(r.Cmdline)
		if err != nil {
			return compiled{}, fmt.Errorf("cmdline: not a regular expression: %w", err)
		}
		c.cmdline = re
	}
	return c, nil
}

// ValidateGlob returns an error if a pattern of a rule or a filter is not well
// formed.
func ValidateGlob(glob string) error {
	if _, err := path.Match(glob, ""); err != nil {
		return fmt.Errorf("%q is not a valid glob: close each [, and do not end it with \\", glob)
	}
	return nil
}

// subject is what rules are matched against.
type subject struct {
	process
	unit, container, containerName string
	ports                          func() []uint16 // slow; called only if a rule has a port
}

// matches reports whether all conditions of the rule hold.
func (c compiled) matches(s subject) bool {
	switch {
	case c.Exe != "" && !matchExe(c.Exe, s.exe):
	case c.Unit != "" && !matchGlob(c.Unit, s.unit):
	case c.Container != "" && !c.matchesContainer(s):
	case c.cmdline != nil && !c.cmdline.MatchString(s.commandLine()):
	case c.Port != 0 && !slices.Contains(s.ports(), c.Port):
	default:
		return true
	}
	return false
}

func (c compiled) matchesContainer(s subject) bool {
	return matchGlob(c.Container, s.container) || matchGlob(c.Container, s.containerName)
}

// matchExe matches the path if the glob contains a slash, else the file name.
func matchExe(glob, exe string) bool {
	if strings.Contains(glob, "/") {
		return matchGlob(glob, exe)
	}
	return exe != "" && matchGlob(glob, path.Base(exe))
}

// matchGlob matches a name that is not empty. The pattern must be well formed.
func matchGlob(glob, name string) bool {
	if glob == name {
		return name != ""
	}
	ok, _ := path.Match(glob, name)
	return ok && name != ""
}

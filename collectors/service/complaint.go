package service

import (
	"fmt"
	"slices"
	"strings"
)

// mostNames is how many names of servers a warning lists.
const mostNames = 12

// complaint compares a filter with the servers that run.
type complaint struct {
	*Filter
	resolver *Resolver
	running  []Server
}

func (c complaint) all() []string {
	warnings := c.pids()
	for _, port := range c.Ports {
		if !slices.ContainsFunc(c.running, func(s Server) bool { return s.Port == port }) {
			warnings = append(warnings, fmt.Sprintf("nothing listens on TCP port %d now: waiting for a server", port))
		}
	}
	for _, list := range []struct {
		what  string
		globs []string
		is    func(glob string, s Server) bool
	}{
		{"is called", c.Services, func(glob string, s Server) bool {
			return s.Identity.matchPool(glob, s.Port) || MatchName(glob, s.Name)
		}},
		{"runs the executable", c.Exes, func(glob string, s Server) bool { return matchExe(glob, s.Identity.Exe) }},
	} {
		for _, glob := range list.globs {
			if !slices.ContainsFunc(c.running, func(s Server) bool { return list.is(glob, s) }) {
				warnings = append(warnings, fmt.Sprintf("no server %s %s now: waiting for one (listening now: %s)", list.what, glob, c.names()))
			}
		}
	}
	return warnings
}

// pids warns of ids that no process has, and of processes that do not listen.
func (c complaint) pids() (warnings []string) {
	var missing []string
	for _, pid := range c.PIDs {
		comm, ok := c.resolver.Exists(pid)
		switch {
		case !ok:
			missing = append(missing, fmt.Sprint(pid))
		case !slices.ContainsFunc(c.running, func(s Server) bool { return s.PID == pid || s.Identity.Master == pid }):
			warnings = append(warnings, fmt.Sprintf("process %d (%s) does not listen on any socket: only requests on connections that it receives from another process are shown", pid, comm))
		}
	}
	if len(missing) > 0 {
		warnings = append(warnings, "no process has the PID "+strings.Join(missing, " or "))
	}
	return warnings
}

// names lists the services that listen, each once.
func (c complaint) names() string {
	return c.list(func(s Server) string { return s.Name })
}

// namesWithIDs lists the services with the id to filter for: that of the master.
func (c complaint) namesWithIDs() string {
	return c.list(func(s Server) string { return fmt.Sprintf("%s %d", s.Name, s.Identity.Master) })
}

func (c complaint) list(text func(Server) string) string {
	var names []string
	for _, s := range c.running {
		if name := text(s); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 0:
		return "nothing"
	case len(names) > mostNames:
		names = append(names[:mostNames], fmt.Sprintf("and %d more", len(names)-mostNames))
	}
	return strings.Join(names, ", ")
}

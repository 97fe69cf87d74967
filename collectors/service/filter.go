package service

import (
	"slices"
)

// Filter selects requests by the server that handles them. Within a list, one
// matching entry is enough. All lists that are not empty must match. The zero
// Filter selects all requests.
type Filter struct {
	Ports    []uint16 `koanf:"ports" doc:"Local TCP ports." example:"[80, 8080]"`
	PIDs     []uint32 `koanf:"pids" doc:"Process IDs. The PID of a master process includes its workers." example:"[4711]"`
	Exes     []string `koanf:"exes" doc:"Globs that match the executable: its path if the glob contains a slash, otherwise its file name." example:"[nginx, /opt/shop/bin/*]"`
	Services []string `koanf:"services" doc:"Globs that match the name of the service. The part before the colon is enough: gunicorn matches gunicorn:shop." example:"[shop*]"`
}

// Empty reports whether the filter selects everything.
func (f *Filter) Empty() bool {
	return len(f.Ports) == 0 && len(f.PIDs) == 0 && len(f.Exes) == 0 && len(f.Services) == 0
}

// Match reports whether the filter selects a request that process pid served on the
// local port. port is 0 for a unix socket. Match does not allocate.
func (f *Filter) Match(pid uint32, port uint16, id *Identity) bool {
	switch {
	case len(f.Ports) > 0 && (port == 0 || !slices.Contains(f.Ports, port)):
	case len(f.PIDs) > 0 && !slices.Contains(f.PIDs, pid) && !f.hasMaster(id):
	case len(f.Exes) > 0 && !anyGlob(f.Exes, id.Exe, matchExe):
	case len(f.Services) > 0 && !slices.ContainsFunc(f.Services, func(glob string) bool { return id.matchPool(glob, port) }):
	default:
		return true
	}
	return false
}

func (f *Filter) hasMaster(id *Identity) bool {
	return id.Master != 0 && slices.Contains(f.PIDs, id.Master)
}

func anyGlob(globs []string, name string, match func(glob, name string) bool) bool {
	for _, glob := range globs {
		if match(glob, name) {
			return true
		}
	}
	return false
}

// Decide is like Match, but for an identity that may be unsure. sure is false if a
// fact that the filter needs is not known.
func (f *Filter) Decide(pid uint32, port uint16, id *Identity) (selected, sure bool) {
	if !id.Unsure {
		return f.Match(pid, port, id), true
	}
	one := *f
	known := true
	if len(f.PIDs) > 0 && !slices.Contains(f.PIDs, pid) {
		one.PIDs, known = nil, false // its master may be one of them
	}
	if len(f.Exes) > 0 && id.Exe == "" {
		one.Exes, known = nil, false
	}
	if len(f.Services) > 0 {
		one.Services, known = nil, false
	}
	if !one.Match(pid, port, id) {
		return false, true
	}
	return true, known
}

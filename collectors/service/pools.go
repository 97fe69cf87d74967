package service

import (
	"crypto/sha256"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"lapwing/collectors/text"
)

// PoolSep separates the name of a service from the name of one of its pools.
const PoolSep = ":"

// The limits of what is remembered about pools.
const (
	maxFamilies  = 1024
	maxGroups    = 64 // of a family
	maxEndpoints = 16 // of a group
)

// pools distinguishes services that would have the same name, such as two servers
// of one program. Processes that share a listening socket or a master are one
// service. So are processes that one parent starts with the same command line, as
// mod_fcgid and Passenger do: each of those has its own socket.
type pools struct {
	mu       sync.Mutex
	families map[familyKey]*family
}

type familyKey struct{ name, kind, scope string }

// family is the set of groups that share a name.
type family struct{ groups []*group }

// group is one service. Its name changes at most once, when the second group of the
// family is seen.
type group struct {
	masters []master
	ports   []uint16
	paths   []string
	origin  string
	cwd     string
	app     string
	name    string
	labeled bool
}

type master struct {
	pid   uint32
	start uint64
}

// PoolName returns the service of a process that serves at a TCP port or, with port
// 0, at the path of a unix socket. This is the name of its identity, unless another
// server has the same name. Then the name says which of them is meant. PoolName
// makes no system call and does not wait.
func (r *Resolver) PoolName(id *Identity, port uint16, path []byte) string {
	return r.pools.name(id, port, path)
}

func (p *pools) name(id *Identity, port uint16, path []byte) string {
	if !id.shares() {
		return id.Name
	}
	key := id.family()
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.families[key]
	if f == nil {
		if len(p.families) >= maxFamilies {
			return id.Name
		}
		f = new(family)
		p.families[key] = f
	}
	g := f.of(id, port, path)
	if g == nil {
		if g = p.add(f, id, port, path); g == nil {
			return id.Name
		}
	}
	g.learn(port, path)
	return g.name
}

// shares reports whether other servers may have the same name. An unsure identity
// does not, because too little is known to distinguish it.
func (id *Identity) shares() bool {
	return id.Source != FromRule && id.Source != FromComm && !id.Unsure
}

func (id *Identity) family() familyKey {
	key := familyKey{name: id.Name, kind: id.Kind}
	if id.Source != FromProgram {
		key.scope = id.Instance // other instances are replicas of the same service
	}
	return key
}

// clearFamily removes the groups of a name whose processes have all ended. It reads
// /proc, so it is called from a look, before the process is known.
func (r *Resolver) clearFamily(id *Identity) {
	if !id.shares() {
		return
	}
	key := id.family()
	ended := map[master]bool{}
	for _, m := range r.pools.mastersOf(key) {
		ended[m] = r.ended(m.pid, m.start)
	}
	r.pools.bury(key, ended)
}

// mastersOf returns the masters of a family's groups.
func (p *pools) mastersOf(key familyKey) (all []master) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.families[key]; f != nil {
		for _, g := range f.groups {
			all = append(all, g.masters...)
		}
	}
	return all
}

// bury removes the groups whose masters have all ended.
func (p *pools) bury(key familyKey, ended map[master]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.families[key]; f != nil {
		f.groups = slices.DeleteFunc(f.groups, func(g *group) bool {
			return !slices.ContainsFunc(g.masters, func(m master) bool { return !ended[m] })
		})
	}
}

// forget removes all families.
func (p *pools) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.families)
}

// of returns the group of a master, of a listening socket, or of an origin. A
// server that was restarted, or that hands over to its successor, is the same
// service.
func (f *family) of(id *Identity, port uint16, path []byte) *group {
	m := master{id.Master, id.masterStart}
	for _, g := range f.groups {
		if slices.Contains(g.masters, m) {
			return g
		}
	}
	for _, g := range f.groups {
		if g.listens(port, path) || g.startedLike(id, port) {
			g.masters = append(g.masters, m)
			if len(g.masters) > maxEndpoints {
				g.masters = slices.Delete(g.masters, 0, 1)
			}
			return g
		}
	}
	return nil
}

// add adds a group. When there are several groups of the name, it gives them
// labels.
func (p *pools) add(f *family, id *Identity, port uint16, path []byte) *group {
	if port == 0 && len(path) == 0 {
		return nil // it is not known yet where it listens
	}
	if len(f.groups) >= maxGroups {
		return nil
	}
	g := &group{masters: []master{{id.Master, id.masterStart}}, origin: id.origin, cwd: id.cwd, app: id.app, name: id.Name}
	g.learn(port, path)
	f.groups = append(f.groups, g)
	if len(f.groups) > 1 {
		f.label(id.Name)
	}
	return g
}

// label gives names to the groups that have no label yet: by the application in
// their command lines, if no other group has it, else by where they listen.
func (f *family) label(name string) {
	for _, g := range f.groups {
		if g.labeled {
			continue
		}
		label := g.app
		if label == "" || slices.ContainsFunc(f.groups, func(other *group) bool { return other != g && other.app == label }) {
			label = g.endpoint()
		}
		g.name, g.labeled = text.Join(name, PoolSep, label), true
	}
}

// startedLike reports whether one parent started both with one command line. A
// supervisor may do so in two directories for two servers, but these listen on
// ports. Processes that serve the unix sockets of a front end change to the
// directory of the script that they run.
func (g *group) startedLike(id *Identity, port uint16) bool {
	return id.origin != "" && g.origin == id.origin && (port == 0 || g.cwd == id.cwd)
}

func (g *group) listens(port uint16, path []byte) bool {
	if port != 0 {
		return slices.Contains(g.ports, port)
	}
	return len(path) > 0 && slices.ContainsFunc(g.paths, func(known string) bool { return known == string(path) })
}

func (g *group) learn(port uint16, path []byte) {
	switch {
	case len(g.ports)+len(g.paths) >= maxEndpoints || g.listens(port, path):
	case port != 0:
		g.ports = append(g.ports, port)
	case len(path) > 0:
		g.paths = append(g.paths, string(path))
	}
}

// endpoint returns the first address at which the group was seen.
func (g *group) endpoint() string {
	if len(g.ports) > 0 {
		return strconv.Itoa(int(g.ports[0]))
	}
	return path.Base(g.paths[0])
}

// originOf returns what processes have in common that one parent starts with the
// same command line.
func originOf(p process) string {
	if len(p.args) == 0 {
		return ""
	}
	return digest(strconv.Itoa(p.ppid) + "\x00" + strings.Join(p.args, "\x00"))
}

// digest returns a hash of a text that is compared and not shown. It returns the
// empty string for the empty string.
func digest(s string) string {
	if s == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(s))
	return string(sum[:])
}

// fpmPool matches the pool in the title of a php-fpm worker. All pools have one
// master, so nothing else distinguishes them.
var fpmPool = regexp.MustCompile(`^php-fpm[0-9.]*: pool (\S+)`)

func poolOf(p process) string {
	if m := fpmPool.FindStringSubmatch(p.title()); m != nil {
		return m[1]
	}
	return ""
}

var (
	// bracketed matches what gunicorn and puma show in their titles: gunicorn:
	// worker [shop.wsgi:app].
	bracketed = regexp.MustCompile(`\[([\w.\-]+)(?::[\w.()]+)?\]$`)
	// application matches a module with the object in it that is served:
	// shop.wsgi:app.
	application = regexp.MustCompile(`^([A-Za-z_][\w.]*):[A-Za-z_][\w.()]*$`)
)

// settings are the extensions of configuration files of servers.
var settings = []string{".ini", ".conf", ".cfg", ".yaml", ".yml", ".toml", ".xml", ".json", ".ru"}

// applicationOf returns the application according to a server's command line or
// title, or the empty string.
func applicationOf(p process) string {
	if m := bracketed.FindStringSubmatch(p.title()); m != nil {
		return specific(strings.Split(m[1], "."))
	}
	if base := javaProperty(p.args, "catalina.base"); base != "" && base != javaProperty(p.args, "catalina.home") {
		return scriptName(base)
	}
	for i := len(p.args) - 1; i > 0; i-- {
		arg := p.args[i]
		if name, ok := strings.CutPrefix(arg, "--name="); ok {
			return name
		}
		if p.args[i-1] == "--name" || p.args[i-1] == "-n" {
			return arg
		}
		if m := application.FindStringSubmatch(arg); m != nil {
			return specific(strings.Split(m[1], "."))
		}
		if ext := path.Ext(arg); slices.Contains(settings, ext) {
			if name := strings.TrimSuffix(path.Base(arg), ext); !isGeneric(name) {
				return name
			}
		}
	}
	return ""
}

// MatchName reports whether a glob matches the name of a service, or the part of it
// before the name of a pool.
func MatchName(glob, name string) bool {
	if matchGlob(glob, name) {
		return true
	}
	for at := strings.LastIndex(name, PoolSep); at > 0; at = strings.LastIndex(name, PoolSep) {
		if name = name[:at]; matchGlob(glob, name) {
			return true
		}
	}
	return false
}

// matchPool also matches the name that the process has if there are others with its
// name. It allocates only for a glob that names a pool.
func (id *Identity) matchPool(glob string, port uint16) bool {
	if MatchName(glob, id.Name) {
		return true
	}
	if !strings.Contains(glob, PoolSep) {
		return false
	}
	return id.app != "" && matchGlob(glob, text.Join(id.Name, PoolSep, id.app)) ||
		port != 0 && matchGlob(glob, text.Join(id.Name, PoolSep, strconv.Itoa(int(port))))
}

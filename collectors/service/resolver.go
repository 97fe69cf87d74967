package service

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/prometheus/procfs"

	"lapwing/collectors/patience"
	"lapwing/collectors/text"
)

// Defaults of Options.
const (
	DefaultProc  = "/proc"
	DefaultLimit = 8192
)

// unknown is the name of a process without any name.
const unknown = "unknown"

// Options are the parameters of a Resolver. The zero Options are valid.
type Options struct {
	Proc  string // mount point of procfs; default DefaultProc
	Rules []Rule // of the configuration; the first that matches is used
	Limit int    // how many processes are remembered; default DefaultLimit
	Host  string // the start of every Instance; default the host's name
	// ContainerName returns the name of a container by its id, or the empty string.
	// If it is nil, Docker's records are used.
	ContainerName func(id string) string
	// Parent returns the process from which another one was forked and whose
	// program it runs, or 0 if it is not known. It is called for processes that are
	// gone: a worker can end before the agent reads the records of what it served.
	Parent func(pid uint32) uint32
	// Pool reads what is below /proc and limits the wait for each process. If it is
	// nil, the Resolver makes its own.
	Pool *patience.Pool
}

// Resolver finds the identities of processes. It is safe for concurrent use. It
// never holds its lock while it reads /proc.
type Resolver struct {
	root          string
	proc          procfs.FS
	pool          *patience.Pool
	rules         atomic.Pointer[[]compiled]
	host          string
	containerName func(id string) string
	parentOf      func(pid uint32) uint32
	pools         pools

	mu     sync.Mutex
	known  *simplelru.LRU[uint32, *entry]
	former *simplelru.LRU[uint32, formerly] // see follow.go
	looks  map[uint32]*look                 // see look.go
}

// entry is an identity with the facts that show whether it is still valid.
type entry struct {
	id    *Identity
	start uint64 // start time of the process; 0 if it was already gone
	exe   string // changes with exec
	comm  string // command name that was passed to Lookup or Ask
	// nameless says that only a command name could name the process, and none was
	// given.
	nameless bool
	// missing counts the refreshes that did not find the process. Records of a
	// process reach the agent after its end, so the first one does not remove the
	// entry.
	missing int
}

// New returns a resolver. It fails if a rule is not valid or if proc does not
// exist.
func New(o Options) (*Resolver, error) {
	r := &Resolver{
		root:          cmp.Or(o.Proc, DefaultProc),
		host:          o.Host,
		containerName: o.ContainerName,
		parentOf:      o.Parent,
		pool:          o.Pool,
		looks:         make(map[uint32]*look),
	}
	r.pools = pools{families: make(map[familyKey]*family)}
	if r.pool == nil {
		r.pool = patience.New(patience.Options{})
	}
	if r.parentOf == nil {
		r.parentOf = func(uint32) uint32 { return 0 }
	}
	var err error
	if r.proc, err = procfs.NewFS(r.root); err != nil {
		return nil, fmt.Errorf("open the process table at %s: %w", r.root, err)
	}
	if err := r.setRules(o.Rules); err != nil {
		return nil, err
	}
	if r.host == "" {
		// If the host has no name, the instance does not contain it.
		r.host, _ = os.Hostname()
	}
	if r.containerName == nil {
		r.containerName = DockerNames(DockerRoot)
	}
	r.known, err = simplelru.NewLRU[uint32, *entry](cmp.Or(o.Limit, DefaultLimit), nil)
	if err != nil {
		return nil, fmt.Errorf("limit of %d remembered processes: %w", o.Limit, err)
	}
	if r.former, err = simplelru.NewLRU[uint32, formerly](formerLimit, nil); err != nil {
		return nil, fmt.Errorf("limit of %d former identities: %w", formerLimit, err)
	}
	return r, nil
}

// SetRules replaces the rules. All processes are looked at again.
func (r *Resolver) SetRules(rules []Rule) error {
	if err := r.setRules(rules); err != nil {
		return err
	}
	r.mu.Lock()
	r.known.Purge()
	for _, l := range r.looks {
		l.stale = true
	}
	r.mu.Unlock()
	r.pools.forget()
	return nil
}

func (r *Resolver) setRules(rules []Rule) error {
	all := make([]compiled, 0, len(rules))
	for i, rule := range rules {
		c, err := compile(rule)
		if err != nil {
			return fmt.Errorf("service rule %d: %w", i+1, err)
		}
		all = append(all, c)
	}
	r.rules.Store(&all)
	return nil
}

// Forget drops what is known about pid. It is called when the process exits.
func (r *Resolver) Forget(pid uint32) {
	r.mu.Lock()
	r.known.Remove(pid)
	if l := r.looks[pid]; l != nil {
		l.stale = true
	}
	r.mu.Unlock()
}

// Len returns how many processes are remembered.
func (r *Resolver) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known.Len()
}

// Run calls Refresh at each interval until ctx ends.
func (r *Resolver) Run(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.Refresh()
		}
	}
}

// Refresh drops the identities of processes that ended, whose id belongs to another
// process now, or that execute another program. It reads two small files per
// remembered process and never blocks a Lookup. It looks again at processes whose
// command line could not be read.
func (r *Resolver) Refresh() {
	r.mu.Lock()
	pids := r.known.Keys()
	r.mu.Unlock()
	for _, pid := range pids {
		r.refresh(pid)
	}
}

func (r *Resolver) refresh(pid uint32) {
	start, exe, err := r.current(pid)
	if patience.NotAsked(err) {
		return // it may still run
	}
	running := err == nil
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.known.Peek(pid)
	switch {
	case !ok:
	case running && e.start == start && e.exe == exe:
		if e.id.Unsure {
			r.begin(pid, e.comm)
		}
	case !running && e.missing == 0:
		e.missing++
	default:
		r.known.Remove(pid)
	}
}

// current reads what changes when a process id is reused.
func (r *Resolver) current(pid uint32) (start uint64, exe string, err error) {
	p, err := ask(r.pool, pid, "state", func() (p process, err error) {
		proc, err := r.proc.Proc(int(pid))
		if err != nil {
			return p, err
		}
		stat, err := proc.Stat()
		if err != nil {
			return p, err
		}
		exe, _ := proc.Executable()
		return process{start: stat.Starttime, exe: strings.TrimSuffix(exe, " (deleted)")}, nil
	})
	return p.start, p.exe, err
}

// ended reports whether a process is certainly gone.
func (r *Resolver) ended(pid uint32, start uint64) bool {
	now, _, err := r.current(pid)
	return err == nil && now != start || err != nil && !patience.NotAsked(err)
}

// reader returns the process as it was when it read a request, with the command
// name comm. A server may fork for a request and let the child execute a script, as
// CGI does. Then the process that it was forked from, which still has that name, is
// the server.
func (l *look) reader(p process, comm string) process {
	if comm == "" || comm == p.comm {
		return p
	}
	up, ok := l.parent(p)
	if !ok || up.comm != comm || up.exe == p.exe && slices.Equal(up.args, p.args) {
		return p // a thread with its own name
	}
	return up
}

func (l *look) identify(p process) *Identity {
	r := l.resolver
	program := cmp.Or(programOf(p, l.parent), unknown)
	top := masterOf(p, program, l.parent)
	id := &Identity{
		Kind:      nameOf(program),
		Exe:       p.exe,
		Unit:      unitOf(p.cgroups),
		Container: containerOf(p.cgroups),
		Master:    uint32(top.pid),

		masterStart: top.start,
		app:         nameOf(cmp.Or(applicationOf(top), applicationOf(p))),
		origin:      originOf(top),
		cwd:         digest(top.cwd),
	}
	s := subject{process: p, unit: id.Unit, container: id.Container, ports: l.portsOf(p.pid)}
	if id.Container != "" {
		s.containerName = l.nameOfContainer(p.pid, id.Container)
	}
	id.Name, id.Source = r.name(s, program)
	if p.mute && id.Source == FromProgram {
		id.Name, id.Source = nameOf(cmp.Or(titleProgram(p.comm), program)), FromComm
	}
	if id.Source != FromRule {
		id.Name = r.unclaimed(id.Name)
	}
	if pool := poolOf(p); pool != "" && id.Source != FromRule {
		id.Name = text.Join(id.Name, PoolSep, pool)
	}
	id.Unsure = l.unsure
	id.Instance = r.instance(nameOf(cmp.Or(shorten(id.Container), id.Unit, fmt.Sprint(id.Master))))
	return id
}

// name applies the sources of a name in their order of precedence.
func (r *Resolver) name(s subject, program string) (string, Source) {
	for _, rule := range *r.rules.Load() {
		if rule.matches(s) {
			return rule.Name, FromRule
		}
	}
	if s.container != "" {
		return nameOf(cmp.Or(s.containerName, shorten(s.container))), FromContainer
	}
	if s.unit != "" {
		return nameOf(strings.TrimSuffix(s.unit, ".service")), FromUnit
	}
	return nameOf(program), FromProgram
}

// noRule marks the name of a process that calls itself like the service of a rule, and
// that the rule does not match.
const noRule = " (no rule)"

// unclaimed returns a name that no rule gives. Any user can choose the name of a program
// and its command name. Requests to such a program must not count for the service.
func (r *Resolver) unclaimed(name string) string {
	for _, rule := range *r.rules.Load() {
		if rule.Name == name {
			return text.Name(name, text.MaxService-len(noRule)) + noRule
		}
	}
	return name
}

// nameOf returns a name that is safe to output. Its parts come from other programs:
// a command line can have megabytes and contain any character but NUL.
func nameOf(s string) string { return text.Name(s, text.MaxService) }

func (r *Resolver) instance(part string) string {
	if r.host == "" {
		return part
	}
	return r.host + "/" + part
}

// nameOfContainer returns the name of a container from the records of its runtime.
func (l *look) nameOfContainer(pid int, id string) string {
	return askMore(l, pid, "container", func() (string, error) { return l.resolver.containerName(id), nil })
}

// portsOf returns a function that searches for the listening ports of a process. It
// runs once, when the first rule needs it.
func (l *look) portsOf(pid int) func() []uint16 {
	r := l.resolver
	return sync.OnceValue(func() []uint16 {
		return askMore(l, pid, "sockets", func() ([]uint16, error) {
			proc, err := r.proc.Proc(pid)
			if err != nil {
				return nil, err
			}
			return listeningPorts(filepath.Clean(r.root), proc), nil
		})
	})
}

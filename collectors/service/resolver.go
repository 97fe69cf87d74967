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

// unknown names a process that nothing names.
const unknown = "unknown"

// Options configure a Resolver. The zero Options are of use.
type Options struct {
	Proc  string // where procfs is mounted; DefaultProc when empty
	Rules []Rule // of the configuration, the first that matches wins
	Limit int    // how many processes are remembered; DefaultLimit when 0
	Host  string // begins every Instance; the host's name when empty
	// ContainerName names a container by its id, or returns the empty string.
	// Docker's records are asked when it is nil.
	ContainerName func(id string) string
	// Parent names the process that another was forked from and whose program
	// it runs, 0 when it is not known. It is asked about processes that are
	// gone: a worker can end before the agent reads of what it served.
	Parent func(pid uint32) uint32
	// Pool reads what is below /proc, and waits for no process for long. Nil
	// makes one of its own.
	Pool *patience.Pool
}

// Resolver turns process ids into identities. It is safe for concurrent use.
// Its lock is held for what is in memory only.
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

// entry is an identity and what tells whether it still holds.
type entry struct {
	id    *Identity
	start uint64 // start time of the process; 0 when it was gone already
	exe   string // another one after an exec
	comm  string // that it was asked for with
	// nameless: nothing but a command name will name it, and none was given.
	nameless bool
	// missing counts the refreshes that did not find the process. Records
	// of a process reach the agent after its end, so the first forgives.
	missing int
}

// New returns a resolver. It fails on a rule that is not valid and when proc
// is not there.
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
		// Without a name of its own the host stays out of the instance.
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

// SetRules replaces the rules. Every process is looked at anew.
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

// Forget drops what is known about pid, for an exit notice.
func (r *Resolver) Forget(pid uint32) {
	r.mu.Lock()
	r.known.Remove(pid)
	if l := r.looks[pid]; l != nil {
		l.stale = true
	}
	r.mu.Unlock()
}

// Len is how many processes are remembered.
func (r *Resolver) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known.Len()
}

// Run refreshes at every interval until ctx ends.
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

// Refresh drops the identities of processes that ended, whose id belongs to
// another process by now, or that execute another program. It reads two small
// files per remembered process and never holds up a Lookup meanwhile. A process
// whose command line could not be read is looked at again.
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
		return // it may be there
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

// current reads what changes when a process id is used again.
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

// ended reports whether a process is gone for certain.
func (r *Resolver) ended(pid uint32, start uint64) bool {
	now, _, err := r.current(pid)
	return err == nil && now != start || err != nil && !patience.NotAsked(err)
}

// reader is the process as it was when it read a request, under the command
// name comm. A server may fork for a request and let the child execute a
// script, which CGI allows: then the process that it was forked from, which
// still has that name, says who served.
func (l *look) reader(p process, comm string) process {
	if comm == "" || comm == p.comm {
		return p
	}
	up, ok := l.parent(p)
	if !ok || up.comm != comm || up.exe == p.exe && slices.Equal(up.args, p.args) {
		return p // a thread with a name of its own
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
	if pool := poolOf(p); pool != "" && id.Source != FromRule {
		id.Name = text.Join(id.Name, PoolSep, pool)
	}
	id.Unsure = l.unsure
	id.Instance = r.instance(nameOf(cmp.Or(shorten(id.Container), id.Unit, fmt.Sprint(id.Master))))
	return id
}

// name applies the sources of a name, strongest first.
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

// nameOf is a name as it goes everywhere. What it is made of, others chose: a
// command line has megabytes, and any character but one.
func nameOf(s string) string { return text.Name(s, text.MaxService) }

func (r *Resolver) instance(part string) string {
	if r.host == "" {
		return part
	}
	return r.host + "/" + part
}

// nameOfContainer asks for the name of a container, in records of its own.
func (l *look) nameOfContainer(pid int, id string) string {
	return askMore(l, pid, "container", func() (string, error) { return l.resolver.containerName(id), nil })
}

// portsOf defers the search for a process's listening ports to the first rule
// that asks, and runs it once.
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

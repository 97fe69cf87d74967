package service

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/prometheus/procfs"
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
}

// Resolver turns process ids into identities. It is safe for concurrent use.
type Resolver struct {
	root          string
	proc          procfs.FS
	rules         []compiled
	host          string
	containerName func(id string) string
	parentOf      func(pid uint32) uint32

	mu    sync.Mutex
	known *simplelru.LRU[uint32, *entry]
}

// entry is an identity and what tells whether it still holds.
type entry struct {
	id    *Identity
	start uint64 // start time of the process; 0 when it was gone already
	exe   string // another one after an exec
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
	}
	if r.parentOf == nil {
		r.parentOf = func(uint32) uint32 { return 0 }
	}
	var err error
	if r.proc, err = procfs.NewFS(r.root); err != nil {
		return nil, fmt.Errorf("open the process table at %s: %w", r.root, err)
	}
	for i, rule := range o.Rules {
		c, err := compile(rule)
		if err != nil {
			return nil, fmt.Errorf("service rule %d: %w", i+1, err)
		}
		r.rules = append(r.rules, c)
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
	return r, nil
}

// Lookup says who process pid is. The first call for a process reads /proc;
// later ones find the answer in memory and do not allocate. comm, the command
// name that a probe saw, names a process that is gone.
func (r *Resolver) Lookup(pid uint32, comm string) *Identity {
	r.mu.Lock()
	e, ok := r.known.Get(pid)
	r.mu.Unlock()
	if ok {
		return e.id
	}
	e = r.resolve(pid, comm)
	if e.start == 0 && comm == "" {
		return e.id // somebody may come who knows at least the command's name
	}
	r.mu.Lock()
	r.known.Add(pid, e)
	r.mu.Unlock()
	return e.id
}

// Forget drops what is known about pid, for an exit notice.
func (r *Resolver) Forget(pid uint32) {
	r.mu.Lock()
	r.known.Remove(pid)
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
// files per remembered process and never holds up a Lookup meanwhile.
func (r *Resolver) Refresh() {
	r.mu.Lock()
	pids := r.known.Keys()
	r.mu.Unlock()
	for _, pid := range pids {
		r.refresh(pid)
	}
}

func (r *Resolver) refresh(pid uint32) {
	start, exe, running := r.current(pid)
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.known.Peek(pid)
	switch {
	case !ok:
	case running && e.start == start && e.exe == exe:
	case !running && e.missing == 0:
		e.missing++
	default:
		r.known.Remove(pid)
	}
}

// current reads what changes when a process id is used again.
func (r *Resolver) current(pid uint32) (start uint64, exe string, running bool) {
	proc, err := r.proc.Proc(int(pid))
	if err != nil {
		return 0, "", false
	}
	stat, err := proc.Stat()
	if err != nil {
		return 0, "", false
	}
	exe, _ = proc.Executable()
	return stat.Starttime, strings.TrimSuffix(exe, " (deleted)"), true
}

// resolve reads /proc and applies the rules of the package documentation.
func (r *Resolver) resolve(pid uint32, comm string) *entry {
	p, err := readProcess(r.proc, int(pid))
	if err == nil && !p.ended {
		return &entry{id: r.identify(p), start: p.start, exe: p.exe}
	}
	if parent := r.parentOf(pid); parent != 0 && parent != pid {
		if id := r.Lookup(parent, ""); id.Source != FromComm {
			return &entry{id: id}
		}
	}
	name := cmp.Or(titleProgram(strings.Clone(comm)), unknown)
	return &entry{id: &Identity{Name: name, Instance: r.instance(name), Source: FromComm}}
}

func (r *Resolver) identify(p process) *Identity {
	program := cmp.Or(programOf(p, r.parent), unknown)
	id := &Identity{
		Kind:      program,
		Exe:       p.exe,
		Unit:      unitOf(p.cgroups),
		Container: containerOf(p.cgroups),
		Master:    uint32(masterOf(p, program, r.parent).pid),
	}
	s := subject{process: p, unit: id.Unit, container: id.Container, ports: r.portsOf(p.pid)}
	if id.Container != "" {
		s.containerName = r.containerName(id.Container)
	}
	id.Name, id.Source = r.name(s, program)
	id.Instance = r.instance(cmp.Or(shorten(id.Container), id.Unit, fmt.Sprint(id.Master)))
	return id
}

// name applies the sources of a name, strongest first.
func (r *Resolver) name(s subject, program string) (string, Source) {
	for _, rule := range r.rules {
		if rule.matches(s) {
			return rule.Name, FromRule
		}
	}
	if s.container != "" {
		return cmp.Or(s.containerName, shorten(s.container)), FromContainer
	}
	if s.unit != "" {
		return strings.TrimSuffix(s.unit, ".service"), FromUnit
	}
	return program, FromProgram
}

func (r *Resolver) instance(part string) string {
	if r.host == "" {
		return part
	}
	return r.host + "/" + part
}

// parent reads the parent of p, if it can be seen.
func (r *Resolver) parent(p process) (process, bool) {
	if p.ppid <= 0 || p.ppid == p.pid {
		return process{}, false
	}
	up, err := readProcess(r.proc, p.ppid)
	return up, err == nil
}

// portsOf defers the search for a process's listening ports to the first rule
// that asks, and runs it once.
func (r *Resolver) portsOf(pid int) func() []uint16 {
	return sync.OnceValue(func() []uint16 {
		proc, err := r.proc.Proc(pid)
		if err != nil {
			return nil
		}
		return listeningPorts(filepath.Clean(r.root), proc)
	})
}

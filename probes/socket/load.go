package socket

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/bpf"
	"lapwing/probes/socket/kernellog"
	"lapwing/probes/socket/survey"
	"lapwing/probes/uprobe"
)

// Options are the settings of the probes. The zero value of a field means its
// default.
type Options struct {
	Plan survey.Plan
	// HeadBytes is how much of each request's and response's head a record
	// carries: 64 to 1024, default 256.
	HeadBytes int
	// RingBytes is the size of the log between kernel and agent, a
	// power of two of at least 64 KiB. Default 8 MiB.
	RingBytes int
	// Connections is the limit of connections that are tracked by address: all
	// connections with the syscall plan, those on unix sockets with the socket plan.
	// If the kernel can allocate memory in a probe (6.1 and later), memory is taken as
	// connections come, and the default is 65536. Otherwise it is taken for all of them
	// at the start, and the default is 16384.
	Connections int
	// Ports limits the probes to connections to these local TCP ports, at most
	// MaxPorts. Other connections cost only a look-up. Unix sockets are not limited.
	Ports []uint16
	// Snapshots loads what Probe.SnapConns and SnapFiles need.
	Snapshots bool
	// NoMarks leaves out what Mark needs.
	NoMarks bool
}

// The defaults and limits of Options.
const (
	DefaultHeadBytes   = 256
	MinHeadBytes       = 64
	MaxHeadBytes       = 1024
	DefaultRingBytes   = 8 << 20
	DefaultConnections = 65536
	MaxPorts           = 16
)

// idleAfter is the time after which a response on a quiet connection is handed out.
// Together with sweepEvery it keeps the promise of one second.
const idleAfter = 200 * time.Millisecond

func (o *Options) setDefaults() error {
	if o.HeadBytes == 0 {
		o.HeadBytes = DefaultHeadBytes
	}
	if o.RingBytes == 0 {
		o.RingBytes = DefaultRingBytes
	}
	if o.Connections == 0 {
		o.Connections = defaultConnections()
	}
	switch {
	case o.HeadBytes < MinHeadBytes || o.HeadBytes > MaxHeadBytes:
		return fmt.Errorf("head bytes %d: must be from %d to %d", o.HeadBytes, MinHeadBytes, MaxHeadBytes)
	case o.RingBytes < 1<<16 || o.RingBytes&(o.RingBytes-1) != 0:
		return fmt.Errorf("ring bytes %d: must be a power of two of at least 65536", o.RingBytes)
	case o.Connections < 16:
		return fmt.Errorf("connections %d: must be at least 16", o.Connections)
	case len(o.Ports) > MaxPorts:
		return fmt.Errorf("%d ports: use at most %d", len(o.Ports), MaxPorts)
	}
	o.HeadBytes = (o.HeadBytes + 7) &^ 7
	return nil
}

// Probe is a set of attached probes.
type Probe struct {
	plan    survey.PlanSurvey
	coll    *ebpf.Collection
	links   []link.Link
	events  *events
	sweeps  []*sweep
	gone    walker // over unix connections whose close was not seen
	log     *kernellog.Reader
	uprobes uprobe.Attacher
	stats   *ebpf.Map
	served  *ebpf.Map // the processes that have served
	snaps   snapshots

	restEvery time.Duration   // how often connections may rest
	restCost  Cost            // of the last times
	restWalk  uint32          // number of the last walk
	restUses  uint64          // of connections, the last time
	restLooks int             // how many more are worth it
	late      map[uint64]bool // connections whose close was in `late_closes` at the last look
	malformed atomic.Uint64   // messages that were cut short
}

// Open loads and attaches the probes of the first plan that works, or of the plan that
// opts names. Requests are recorded from its return on.
func Open(opts Options) (*Probe, error) {
	if err := opts.setDefaults(); err != nil {
		return nil, err
	}
	plan, err := survey.TakeSurvey().Resolve(opts.Plan)
	if err != nil {
		return nil, err
	}
	return openPlan(plan, opts, nil)
}

// openPlan opens the probes of a plan. A test can change what is loaded.
func openPlan(plan survey.PlanSurvey, opts Options, change func(*ebpf.CollectionSpec)) (*Probe, error) {
	secret := kernellog.NewSecret()
	spec, err := buildSpec(plan, opts, secret)
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(spec)
	}
	by := uprobe.Prepare(spec.Programs[survey.MarkProgram])
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load the probes: %w", explainSize(explain(err), spec))
	}
	p := &Probe{restEvery: restEvery, restWalk: 1, plan: plan, coll: coll, uprobes: uprobe.Attacher{By: by}, stats: coll.Maps["stats"], served: coll.Maps["processes"]}
	if err := p.start(kernellog.SizeOf(opts.RingBytes), secret); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// explain adds to an error of the kernel what the user can do about it.
func explain(err error) error {
	if errors.Is(err, ebpf.ErrNotSupported) {
		return fmt.Errorf("%w (run lapwing probes to see what this kernel supports)", err)
	}
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) && !isShortage(err) {
		return fmt.Errorf("the kernel's verifier rejected a program, please report this with the kernel version%s: %w", keepLog(refused), err)
	}
	return err
}

// keepLog writes the complete log of the verifier to a file, and returns words that name
// the file. The error itself has only the last lines.
func keepLog(refused *ebpf.VerifierError) string {
	f, err := os.CreateTemp("", "lapwing-verifier-*.log")
	if err != nil {
		return " (its log could not be kept: " + err.Error() + ")"
	}
	_, err = fmt.Fprintf(f, "%+v\n", refused)
	if err = errors.Join(err, f.Close()); err != nil {
		return " (its log could not be kept: " + err.Error() + ")"
	}
	return " and the file " + f.Name()
}

// isShortage reports whether the kernel refused because it ran out of something, not
// because of the program itself.
func isShortage(err error) bool {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EPERM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (p *Probe) start(size kernellog.Size, secret uint64) error {
	log, err := kernellog.Open(p.coll, size, secret)
	if err != nil {
		return err
	}
	p.log = log
	if err := p.attach(); err != nil {
		return err
	}
	return errors.Join(p.adopt(), p.prepareSnapshots())
}

// Parent returns the process from which a server process was forked. It returns 0 if that
// is not known, or if one of the two has executed another program since.
func (p *Probe) Parent(pid uint32) uint32 {
	var found bpf.SocketPlanProcess
	if err := p.served.Lookup(pid, &found); err != nil {
		return 0
	}
	return found.Parent
}

// Plan returns the plan that was chosen, with the hooks that it uses.
func (p *Probe) Plan() survey.PlanSurvey { return p.plan }

// Detach removes the probes from the kernel's hooks. Records that were written before can
// still be read.
func (p *Probe) Detach() error {
	err := detach(p.links)
	p.links = nil
	return err
}

// Close detaches the probes and frees everything. It is safe on a probe that was only
// partly opened.
func (p *Probe) Close() error {
	errs := []error{p.Detach(), p.events.Close()}
	p.events = nil
	for _, s := range p.sweeps {
		errs = append(errs, s.Close())
	}
	p.sweeps = nil
	if p.gone != nil {
		errs = append(errs, p.gone.Close())
		p.gone = nil
	}
	errs = append(errs, p.snaps.close())
	if p.log != nil {
		errs = append(errs, p.log.Close())
		p.log = nil
	}
	p.coll.Close()
	return errors.Join(errs...)
}

// buildSpec takes the plan's object and reduces it to the hooks in use.
func buildSpec(plan survey.PlanSurvey, opts Options, secret uint64) (*ebpf.CollectionSpec, error) {
	load := bpf.LoadSyscallPlan
	if plan.Plan == survey.PlanSocket {
		load = bpf.LoadSocketPlan
	}
	spec, err := load()
	if err != nil {
		return nil, fmt.Errorf("read the eBPF object of the probes: %w", err)
	}
	keep := map[string]bool{}
	for _, h := range plan.Hooks {
		keep[h.Program] = keep[h.Program] || h.Used
	}
	keep[survey.MarkProgram] = keep[survey.MarkProgram] && !opts.NoMarks
	for name := range spec.Programs {
		if !keep[name] || (!opts.Snapshots && strings.HasPrefix(name, "see_")) {
			delete(spec.Programs, name)
		}
	}
	sizeMaps(spec, opts)
	return spec, setKnobs(spec, opts, secret, keep["call_enter"])
}

// parkedShare is the number of connections per parked one. A connection is parked while
// its next request was read and the previous response is still being written.
const parkedShare = 16

// sizeMaps sets the sizes of the maps from the options. The value of a connection ends
// with its heads, whose length is known only now.
func sizeMaps(spec *ebpf.CollectionSpec, opts Options) {
	const (
		name  = uint32(bpf.SocketPlanLayoutLAYOUT_NAME)
		trace = uint32(bpf.SocketPlanLayoutLAYOUT_TRACE)
		block = uint32(bpf.SocketPlanLayoutLAYOUT_BLOCK)
	)
	fixed, head := spec.Maps["blank"].ValueSize, uint32(opts.HeadBytes)
	size := (fixed + name + trace + 2*head + max(head, block) + 15) &^ 7
	for _, name := range []string{"blank", "unix_conns", "tcp_conns", "parked"} {
		m := spec.Maps[name]
		m.ValueSize = size
		m.Value = &btf.Array{Index: &btf.Int{Size: 4}, Type: &btf.Int{Size: 1}, Nelems: size}
		if m.Type != ebpf.Hash {
			continue
		}
		m.MaxEntries = uint32(opts.Connections)
		if name == "parked" {
			m.MaxEntries /= parkedShare
		}
		if allocatesInProbes() {
			m.Flags |= unix.BPF_F_NO_PREALLOC
		}
	}
	if allocatesInProbes() {
		spec.Maps["late_closes"].Flags |= unix.BPF_F_NO_PREALLOC
		spec.Maps["clients"].Flags |= unix.BPF_F_NO_PREALLOC
	}
	sizeRests(spec.Maps["rests"], opts)
	log := kernellog.SizeOf(opts.RingBytes)
	spec.Maps["messages"].ValueSize = log.Stride()
	spec.Maps["messages"].MaxEntries = log.Segments
}

// sizeRests makes room for all connections, if they are kept by address. Where the kernel
// cannot allocate memory in a probe, there is room for a part of them: the others keep
// their whole state.
func sizeRests(m *ebpf.MapSpec, opts Options) {
	if m.Type == ebpf.Hash && allocatesInProbes() {
		m.Flags |= unix.BPF_F_NO_PREALLOC
		m.MaxEntries = uint32(opts.Connections)
	}
}

// allocatesInProbes reports whether the kernel can allocate an element of a hash map
// wherever a probe runs: it has an allocator of its own for that.
var allocatesInProbes = sync.OnceValue(func() bool {
	return survey.HasFunction("bpf_mem_alloc_init")
})

func defaultConnections() int {
	if allocatesInProbes() {
		return DefaultConnections
	}
	return DefaultConnections / 4
}

func setKnobs(spec *ebpf.CollectionSpec, opts Options, secret uint64, noteEntry bool) error {
	var ports [MaxPorts]uint16
	copy(ports[:], opts.Ports)
	log := kernellog.SizeOf(opts.RingBytes)
	knobs := map[string]any{
		"head_bytes":     uint32(opts.HeadBytes),
		"wake_bytes":     uint64(opts.RingBytes / 8),
		"log_shift":      log.Shift,
		"log_segments":   log.Segments,
		"log_secret":     secret,
		"only_ports":     ports,
		"only_ports_len": uint32(len(opts.Ports)),
		"idle_ns":        uint64(idleAfter),
		"note_entry":     noteEntry,
	}
	for name, value := range knobs {
		v := spec.Variables[name]
		if v == nil { // not every plan has every variable
			continue
		}
		if err := v.Set(value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// attach links every program to its hook. Iterators are kept apart: they run on demand.
// Mark attaches the programs that mark functions.
func (p *Probe) attach() error {
	p.events = newEvents(len(p.plan.Hooks))
	for _, h := range p.plan.Hooks {
		prog := p.coll.Programs[h.Program]
		if prog == nil || !h.Used || h.OnDemand() || h.Program == survey.MarkProgram {
			continue
		}
		l, err := attachOne(h.Name, prog)
		if err != nil {
			return fmt.Errorf("attach to %s: %w", h.Name, err)
		}
		p.events.hold(l)
		p.links = append(p.links, l)
	}
	return nil
}

func attachOne(name string, prog *ebpf.Program) (link.Link, error) {
	if call, ok := strings.CutPrefix(name, "tracepoint/syscalls/"); ok {
		return link.Tracepoint("syscalls", call, prog, nil)
	}
	return link.AttachTracing(link.TracingOptions{Program: prog})
}

package socket

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
)

// markProgram is the program that notes a call into the application.
const markProgram = "app_called"

// uprobePMU is there where programs can be attached to functions of programs.
const uprobePMU = "/sys/bus/event_source/devices/uprobe"

func uprobes(*kernel) error {
	if _, err := os.Stat(uprobePMU); err != nil {
		return lacks("the kernel was built without CONFIG_UPROBE_EVENTS")
	}
	return nil
}

// ErrNoMarks says that the kernel, or the options, do not let functions of
// programs be marked.
var ErrNoMarks = errors.New("functions of programs cannot be marked")

// MarkBy is the way in which programs are attached to functions of programs.
type MarkBy uint8

// The ways. A multi link costs the marked program less and needs no privileges
// (Linux 6.6 and later); a perf event needs CAP_PERFMON.
const (
	MarkByNothing MarkBy = iota
	MarkByPerfEvent
	MarkByMultiLink
)

// haveMultiLink is nil where the kernel has multi links. Tests replace it.
var haveMultiLink = features.HaveBPFLinkUprobeMulti

// markBy chooses the way and prepares the program for it.
func markBy(prog *ebpf.ProgramSpec) MarkBy {
	if prog == nil {
		return MarkByNothing
	}
	if haveMultiLink() != nil {
		return MarkByPerfEvent
	}
	prog.AttachType = ebpf.AttachTraceUprobeMulti
	return MarkByMultiLink
}

// MarkBy tells how Mark attaches.
func (p *Probe) MarkBy() MarkBy { return p.markBy }

// Mark attaches the program that notes a call into the application to the code
// at an offset into a file, for all processes that run it. Of several marks
// that a request passes that of the highest rank counts. It may be called
// while Run runs, but not once Close was.
func (p *Probe) Mark(path string, offset uint64, rank uint8) (io.Closer, error) {
	prog := p.coll.Programs[markProgram]
	if prog == nil {
		return nil, ErrNoMarks
	}
	file, err := link.OpenExecutable(path)
	if err != nil {
		return nil, fmt.Errorf("mark: %w", err)
	}
	var l link.Link
	if p.markBy == MarkByMultiLink {
		l, err = file.UprobeMulti(nil, prog, &link.UprobeMultiOptions{Addresses: []uint64{offset}, Cookies: []uint64{uint64(rank)}})
	} else {
		l, err = file.Uprobe("", prog, &link.UprobeOptions{Address: offset, Cookie: uint64(rank)})
	}
	if err != nil {
		return nil, fmt.Errorf("mark: %w", err)
	}
	// From now on the other programs look for marks.
	if err := p.coll.Variables["markers_attached"].Set(true); err != nil {
		return nil, errors.Join(fmt.Errorf("mark: %w", err), l.Close())
	}
	return l, nil
}

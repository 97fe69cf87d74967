package socket

import (
	"errors"
	"fmt"
	"io"
	"os"

	"lapwing/probes/socket/survey"
	"lapwing/probes/uprobe"
)

// ErrNoMarks means that the kernel or the options do not allow marks on functions of
// programs.
var ErrNoMarks = errors.New("uprobes are not available")

// MarkBy returns the way in which Mark attaches.
func (p *Probe) MarkBy() uprobe.By { return p.uprobes.By }

// Mark attaches the program that notes a call into the application to the code at an
// offset in a file, for all processes that run it. If a request passes several marks, the
// mark of the highest rank counts. It may be called while Run runs, but not after Close.
func (p *Probe) Mark(path string, offset uint64, rank uint8) (io.Closer, error) {
	prog := p.coll.Programs[survey.MarkProgram]
	if prog == nil {
		return nil, ErrNoMarks
	}
	l, err := p.uprobes.Attach(prog, uprobe.Place{Path: path, Offset: offset, Cookie: uint64(rank)})
	if err != nil {
		return nil, fmt.Errorf("mark: %w", err)
	}
	// From now on the other programs look for marks.
	if err := p.coll.Variables["markers_attached"].Set(true); err != nil {
		return nil, errors.Join(fmt.Errorf("mark: %w", err), l.Close())
	}
	return l, nil
}

// OpenUprobesBy sets who opens the perf events by which functions are marked, for a
// process that may not open them itself. It must be called before the first Mark.
func (p *Probe) OpenUprobesBy(open func(file *os.File, offset uint64) (*os.File, error)) {
	p.uprobes.Open = open
}

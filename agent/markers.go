package agent

import (
	"context"
	"sync/atomic"

	"kernel.org/pub/linux/libs/security/libcap/cap"

	"lapwing/agent/privilege"
	"lapwing/agent/privilege/sandbox"
	"lapwing/agent/privilege/uprobes"
	"lapwing/exporters/health"
	"lapwing/probes/marker"
	"lapwing/probes/socket"
	"lapwing/probes/uprobe"
)

// markers is the probe on the functions through which servers call their
// applications.
type markers struct {
	*Agent
	watcher atomic.Pointer[uprobe.Watcher] // nil: no markers are used
	opener  *uprobes.Opener                // nil: not needed
}

// attach prepares the probe. It looks at no process yet.
func (m *markers) attach() error {
	probe := m.requests.socket
	if m.cfg.Probes.Markers == marker.Off || probe.MarkBy() == uprobe.ByNothing {
		return nil
	}
	if probe.MarkBy() == uprobe.ByPerfEvent && m.cfg.DropPrivileges {
		m.delegate(probe)
	}
	m.watcher.Store(marker.NewWatcher(probe, m.cfg.Probes.Markers, m.log))
	return nil
}

// served reports that a process served a request. It never waits.
func (m *markers) served(pid uint32) { m.watcher.Load().Served(pid) }

// readBy makes processes that the helper starts read the files of other users.
func (m *markers) readBy(helper *sandbox.Helper) {
	if w := m.watcher.Load(); w != nil {
		w.ReadBy(helper.StartReader)
	}
}

// delegate starts a separate process that opens the events of markers. It is
// needed if the kernel requires a privilege for them that the agent gives up.
func (m *markers) delegate(probe *socket.Probe) {
	opener, err := uprobes.Start(m.identity)
	if err != nil {
		m.log.Warn("the kernel will refuse markers", "error", err)
		return
	}
	m.opener = opener
	probe.OpenUprobesBy(opener.Open)
}

// look waits until run: attaching is never delayed by a search.
func (m *markers) look() {}

func (m *markers) keeps() []cap.Value { return privilege.Standing() }

// run marks running servers and those that start later. When it returns, the
// markers are removed, or will be when the process ends.
func (m *markers) run(ctx context.Context) error {
	if w := m.watcher.Load(); w != nil {
		if err := w.Run(ctx); err != nil {
			m.log.Debug("markers were not removed in order", "error", err)
		}
	}
	return nil
}

func (m *markers) health(s *health.Sources) { s.Markers = m.watcher.Load().Refused() }

func (m *markers) close() error { return m.opener.Close() }

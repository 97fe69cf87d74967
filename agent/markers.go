package agent

import (
	"context"

	"lapwing/agent/privilege"
	"lapwing/agent/privilege/uprobes"
	"lapwing/probes/marker"
	"lapwing/probes/socket"
)

// prepareMarkers makes what marks the calls into the applications of servers.
// It looks at no process yet: attaching waits for none.
func (a *Agent) prepareMarkers(probe *socket.Probe) {
	if a.cfg.Probes.Markers == marker.Off || probe.MarkBy() == socket.MarkByNothing {
		return
	}
	a.statsMu.Lock()
	defer a.statsMu.Unlock()
	a.markers = marker.NewWatcher(probe, a.cfg.Probes.Markers, a.log)
}

// delegateUprobes has a process of its own open the events of markers, where the kernel
// wants a privilege for them that the agent gives up. It precedes drop.
func (a *Agent) delegateUprobes(probe *socket.Probe, who *privilege.Identity) {
	if a.cfg.Probes.Markers == marker.Off || probe.MarkBy() != socket.MarkByPerfEvent {
		return
	}
	opener, err := uprobes.Start(who)
	if err != nil {
		a.log.Warn("the kernel will refuse markers", "error", err)
		return
	}
	a.uprobes = opener
	probe.OpenUprobesBy(opener.Open)
}

// markersRefused counts what the search for markers left alone.
func (a *Agent) markersRefused() map[string]uint64 {
	a.statsMu.Lock()
	defer a.statsMu.Unlock()
	return a.markers.Refused()
}

// watchMarkers marks servers that run and that appear later, until ctx ends.
// The function it returns waits until the markers are removed, or will be with
// the process.
func (a *Agent) watchMarkers(ctx context.Context) (wait func()) {
	if a.markers == nil {
		return func() {}
	}
	ended := make(chan error, 1)
	go func() { ended <- a.markers.Run(ctx) }()
	return func() {
		if err := <-ended; err != nil {
			a.log.Debug("markers were not removed in order", "error", err)
		}
	}
}

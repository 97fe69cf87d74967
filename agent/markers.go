package agent

import (
	"context"

	"kernel.org/pub/linux/libs/security/libcap/cap"

	"lapwing/agent/privilege"
	"lapwing/probes/marker"
	"lapwing/probes/socket"
)

// standing lists the capabilities to keep once the probes are attached. The
// markers of servers that start later are attached later.
func (a *Agent) standing(probe *socket.Probe) []cap.Value {
	keep := privilege.Standing()
	if a.cfg.Probes.Markers != marker.Off && probe.MarkBy() == socket.MarkByPerfEvent {
		keep = append(keep, cap.PERFMON)
	}
	return keep
}

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

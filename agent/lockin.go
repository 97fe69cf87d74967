package agent

import (
	"fmt"
	"maps"
	"slices"

	"kernel.org/pub/linux/libs/security/libcap/cap"

	"lapwing/agent/privilege"
	"lapwing/agent/privilege/sandbox"
)

// settleIdentity checks whether root can become the configured user.
func (a *Agent) settleIdentity() {
	if !a.cfg.DropPrivileges {
		return
	}
	if err := a.identity.Possible(cap.GetProc()); err != nil {
		a.log.Warn("the agent stays root", "error", err)
		a.identity = nil
	}
}

// drop gives up root, and the privileges that only loading needs.
func (a *Agent) drop() error {
	if !a.cfg.DropPrivileges {
		return nil
	}
	if err := privilege.DropTo(a.identity, a.keeps()...); err != nil {
		return fmt.Errorf("drop privileges: %w", err)
	}
	return nil
}

// lockIn allows only the system calls that measuring needs from now on. It
// comes after drop: a filter needs no_new_privs, and the helper must start with
// no more privileges than readers of files need.
func (a *Agent) lockIn() error {
	if !a.cfg.DropPrivileges || a.cfg.Sandbox == sandbox.Off {
		return nil
	}
	helper, err := sandbox.Start()
	if err != nil {
		a.log.Warn("no files of other users can be read for markers, and refused system calls are not counted", "error", err)
	} else {
		a.helper.Store(helper)
	}
	in, err := sandbox.Lock(a.cfg.Sandbox, helper)
	switch {
	case err != nil && a.cfg.Sandbox == sandbox.Kill:
		return fmt.Errorf("sandbox: %w", err)
	case err != nil:
		a.log.Warn("the kernel takes no filter of system calls: none is refused", "error", err)
	default:
		a.log.Info("system calls are filtered", "refused", in.Mode, "counted", in.Counted)
	}
	if helper != nil {
		a.markers.readBy(helper)
	}
	return nil
}

// refusals logs refused system calls, each name once, and the end of the
// helper. It is not safe for concurrent use.
type refusals struct {
	told  map[string]bool
	ended <-chan struct{}
}

func (a *Agent) tellRefusals(r *refusals) {
	helper := a.helper.Load()
	if helper == nil {
		return
	}
	if r.told == nil {
		r.told, r.ended = map[string]bool{}, helper.Ended()
	}
	for _, name := range slices.Sorted(maps.Keys(helper.Refused())) {
		if !r.told[name] {
			r.told[name] = true
			a.log.Warn("a system call was refused: the agent should never ask for it; please report", "syscall", name)
		}
	}
	select {
	case <-r.ended:
		r.ended = nil
		a.log.Warn("the helper has ended: new servers get no markers, refused system calls are not counted")
	default:
	}
}

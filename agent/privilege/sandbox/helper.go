package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"lapwing/probes/foreign"
)

// helperName is the name of the helper's process.
const helperName = "lapwing-helper"

// order is a message from the agent to its helper, sent with a descriptor.
type order struct {
	// Read is the time limit of a reader to start for a socket. If it is 0, the
	// descriptor is the listener of the filter.
	Read time.Duration `json:"read,omitempty"`
}

// Helper is the agent's handle of its helper. It is safe for concurrent use.
type Helper struct {
	conn   *net.UnixConn
	ended  chan struct{}
	shared *counts
}

// Start starts the helper: this program again, with the privileges that readers
// of files start with. It must be called before Lock.
func Start() (*Helper, error) {
	shared, page, err := newCounts()
	if err != nil {
		return nil, err
	}
	defer func() { _ = page.Close() }()
	conn, theirs, err := foreign.Pair()
	if err != nil {
		return nil, err
	}
	defer func() { _ = theirs.Close() }()
	cmd := foreign.Again(helperName, 2) // a fork that blocks in the kernel occupies one of the two
	cmd.Stdin = theirs
	cmd.ExtraFiles = []*os.File{page}
	if err := cmd.Start(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("start the helper: %w", err)
	}
	h := &Helper{conn: conn, shared: shared, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(h.ended)
	}()
	return h, nil
}

// StartReader is a foreign.Starter. The helper ends the reader.
func (h *Helper) StartReader(socket *os.File, limit time.Duration) (end func(), err error) {
	if err := h.tell(order{Read: limit}, socket); err != nil {
		return nil, err
	}
	return func() {}, nil
}

// answer leaves refused calls to the helper. Without a helper, the kernel
// answers them once no process has the listener open.
func (h *Helper) answer(listener *os.File) {
	defer func() { _ = listener.Close() }()
	_ = h.tell(order{}, listener)
}

func (h *Helper) tell(o order, f *os.File) error {
	if err := foreign.Tell(h.conn, o, f); err != nil {
		return fmt.Errorf("send to the helper: %w", err)
	}
	return nil
}

// Refused counts the refused system calls by name. It is empty for a nil
// Helper.
func (h *Helper) Refused() map[string]uint64 {
	if h == nil {
		return map[string]uint64{}
	}
	return h.shared.byName()
}

// Ended returns a channel that is closed when the helper has ended.
func (h *Helper) Ended() <-chan struct{} { return h.ended }

// Close ends the helper without waiting for it. A nil Helper has ended.
func (h *Helper) Close() error {
	if h == nil {
		return nil
	}
	if err := h.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("stop the helper: %w", err)
	}
	return nil
}

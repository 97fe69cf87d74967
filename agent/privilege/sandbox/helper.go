package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"lapwing/probes/foreign"
)

// helperName is what the helper's process is called.
const helperName = "lapwing-helper"

// order is what the agent tells its helper, with a descriptor.
type order struct {
	// Read is the limit of a reader that is to be started for a socket; 0: the
	// descriptor is the listener of the filter.
	Read time.Duration `json:"read,omitempty"`
}

// Helper is the agent's hold on its helper. It is safe for concurrent use.
type Helper struct {
	conn   *net.UnixConn
	ended  chan struct{}
	shared *counts
}

// Start starts the helper: this program again, with the privileges that readers
// of files are started with. It is to be called before Lock.
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
	cmd := foreign.Again(helperName, 2) // a fork that the kernel holds up keeps one
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

// answer leaves refused calls to the helper. Without it the kernel answers
// them, once nobody has the listener open.
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

// Refused counts the refused system calls by name. A nil Helper knows of none.
func (h *Helper) Refused() map[string]uint64 {
	if h == nil {
		return map[string]uint64{}
	}
	return h.shared.byName()
}

// Ended is closed when the helper has ended.
func (h *Helper) Ended() <-chan struct{} { return h.ended }

// Close ends the helper, and does not wait for it. A nil Helper has ended.
func (h *Helper) Close() error {
	if h == nil {
		return nil
	}
	if err := h.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("stop the helper: %w", err)
	}
	return nil
}

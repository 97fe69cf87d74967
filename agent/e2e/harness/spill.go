package harness

import (
	"bytes"
	"io"
	"sync"
)

// spill is a pipe without a size limit: a test that reads the agent's output
// slowly must not make the agent drop some of it.
type spill struct {
	mu    sync.Mutex
	more  sync.Cond
	held  bytes.Buffer
	ended bool
}

func newSpill() *spill {
	s := new(spill)
	s.more.L = &s.mu
	return s
}

// Write never waits.
func (s *spill) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.more.Signal()
	return s.held.Write(p)
}

// Close lets the reader reach the end.
func (s *spill) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.more.Signal()
	return nil
}

// Read waits for bytes. There is one reader.
func (s *spill) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.held.Len() == 0 {
		if s.ended {
			return 0, io.EOF
		}
		s.more.Wait()
	}
	return s.held.Read(p)
}

package foreign

import (
	"context"
	"sync"
	"time"
)

// Pool runs functions that may never return. One that does not return in time is given
// up, with its thread. The number that may be given up at a time is limited, for each
// user and in all.
type Pool struct {
	Max     int // limit of functions that have not returned
	PerUser int

	mu     sync.Mutex
	out    int
	byUser map[uint32]int
}

// Do runs f in a thread and waits for it until the deadline or the end of ctx. After that
// f must not touch anything that the caller uses.
func (p *Pool) Do(ctx context.Context, user uint32, deadline time.Duration, f func()) error {
	if !p.enter(user) {
		return refuse(Busy, nil)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer p.leave(user)
		f()
	}()
	limit := time.NewTimer(deadline)
	defer limit.Stop()
	select {
	case <-done:
		return nil
	case <-limit.C:
		return refuse(NoAnswer, nil)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Out returns how many have not returned.
func (p *Pool) Out() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out
}

func (p *Pool) enter(user uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out >= p.Max || p.byUser[user] >= p.PerUser {
		return false
	}
	if p.byUser == nil {
		p.byUser = map[uint32]int{}
	}
	p.out++
	p.byUser[user]++
	return true
}

func (p *Pool) leave(user uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out--
	if p.byUser[user]--; p.byUser[user] == 0 {
		delete(p.byUser, user)
	}
}

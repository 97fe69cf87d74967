package event

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/clock"
)

// batch is the highest number of events that one epoll_wait returns.
const batch = 512

// Handler handles the events of a descriptor, given as a set of EPOLL flags.
type Handler interface{ Ready(events uint32) }

// Loop handles events on the thread that calls Run. Other threads may only call
// Post.
type Loop struct {
	epoll   int
	wake    int // an eventfd
	watched map[int32]watch
	number  int32 // of the last watch
	timers  timers
	events  [batch]unix.EpollEvent

	mu     sync.Mutex
	posted []func()
}

// watch is a handler and its number. A descriptor can be closed, and its number
// reused, while an event for the old one is still waiting. The watch number
// distinguishes the two.
type watch struct {
	number  int32
	handler Handler
}

// New returns a loop without watches.
func New() (*Loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll instance: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	l := &Loop{epoll: epoll, wake: wake, watched: make(map[int32]watch)}
	return l, l.Watch(wake, unix.EPOLLIN|unix.EPOLLET, wakeUp{})
}

// wakeUp handles the eventfd. It does nothing: the eventfd only wakes the loop.
type wakeUp struct{}

func (wakeUp) Ready(uint32) {}

// Watch calls h for events on fd until Forget.
func (l *Loop) Watch(fd int, events uint32, h Handler) error {
	l.number++
	e := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: l.number}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		return fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	l.watched[int32(fd)] = watch{number: l.number, handler: h}
	return nil
}

// Forget stops watching fd, which the caller is about to close.
func (l *Loop) Forget(fd int) { delete(l.watched, int32(fd)) }

// Unwatch stops watching fd, which stays open.
func (l *Loop) Unwatch(fd int) {
	l.Forget(fd)
	// Only fails if fd was not watched.
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, fd, nil)
}

// After calls do once d has passed.
func (l *Loop) After(d time.Duration, do func()) {
	heap.Push(&l.timers, timer{at: clock.Now() + int64(d), do: do})
}

// Post calls do soon, on the thread of the loop.
func (l *Loop) Post(do func()) {
	l.mu.Lock()
	l.posted = append(l.posted, do)
	l.mu.Unlock()
	// Only fails if the counter is full. The loop is woken in that case anyway.
	_, _ = unix.Write(l.wake, binary.NativeEndian.AppendUint64(nil, 1))
}

// Run handles events forever. It returns an error of epoll that it cannot
// recover from.
func (l *Loop) Run() error {
	for {
		n, err := unix.EpollWait(l.epoll, l.events[:], l.untilNext())
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for events: %w", err)
		}
		for _, e := range l.events[:max(n, 0)] {
			if w := l.watched[e.Fd]; w.handler != nil && w.number == e.Pad {
				w.handler.Ready(e.Events)
			}
		}
		l.runPosted()
		l.runTimers()
	}
}

func (l *Loop) runPosted() {
	l.mu.Lock()
	posted := l.posted
	l.posted = nil
	l.mu.Unlock()
	for _, do := range posted {
		do()
	}
}

func (l *Loop) runTimers() {
	for now := clock.Now(); len(l.timers) > 0 && l.timers[0].at <= now; {
		heap.Pop(&l.timers).(timer).do()
	}
}

// untilNext returns the time until the next timer in milliseconds, −1 without a
// timer.
func (l *Loop) untilNext() int {
	if len(l.timers) == 0 {
		return -1
	}
	left := time.Duration(l.timers[0].at - clock.Now())
	return int(max(0, (left+time.Millisecond-1)/time.Millisecond))
}

type timer struct {
	at int64 // CLOCK_MONOTONIC nanoseconds
	do func()
}

// timers is a heap, with the next timer first.
type timers []timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at < t[j].at }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	(*t)[last] = timer{}
	*t = (*t)[:last]
	return x
}

package worker

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/probes/socket/snapshot"
)

// ledger lets listeners of one network namespace drop connection attempts.
type ledger struct {
	*drops
	counts    ListenCounts
	unread    bool
	listeners []snapshot.Listener
}

const (
	plain    = 0 // indexes into listeners
	deferred = 1
	other    = 2
)

func newLedger() *ledger {
	l := &ledger{counts: ListenCounts{Drops: 70, Deferred: 900}}
	for i, deferred := range []bool{false, true, false} {
		l.listeners = append(l.listeners, snapshot.Listener{PID: 7, NetNS: 1, Socket: uint64(i + 1), Limit: 5, Drops: 33, Deferred: deferred,
			Address: netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(80+i))})
	}
	l.drops = newDrops(func(uint32, uint32) (ListenCounts, error) {
		if l.unread {
			return ListenCounts{}, errors.New("gone")
		}
		return l.counts, nil
	})
	l.pass()
	return l
}

func (l *ledger) pass() { l.look(l.listeners, l.count()) }

// drop lets a listener drop SYNs, and ends of handshakes, which it counts twice.
func (l *ledger) drop(which int, syns, ends uint32) {
	l.listeners[which].Drops += syns + 2*ends
	l.counts.Drops += uint64(syns + ends)
}

// put lets the listener with deferred accept take connections.
func (l *ledger) put(connections uint32) {
	l.listeners[deferred].Drops += connections
	l.counts.Deferred += uint64(connections)
}

func (l *ledger) saw(which int) uint64 { return l.of(&l.listeners[which]).drops }

func TestDropsOfAListener(t *testing.T) {
	t.Run("what came before the start is not counted", func(t *testing.T) {
		l := newLedger()
		l.pass()
		assert.Equal(t, []uint64{0, 0, 0, 0}, []uint64{l.saw(plain), l.saw(deferred), l.saw(other), l.unattributed})
	})
	t.Run("connections that accept need not see yet are none", func(t *testing.T) {
		l := newLedger()
		for range 5 {
			l.put(106)
			l.pass()
		}
		assert.Zero(t, l.saw(deferred))
	})
	t.Run("ends of handshakes are counted once", func(t *testing.T) {
		l := newLedger()
		l.drop(plain, 4, 11)
		l.pass()
		l.drop(plain, 0, 1)
		l.pass()
		assert.Equal(t, uint64(16), l.saw(plain))
	})
	t.Run("a repeated SYN is no drop", func(t *testing.T) {
		l := newLedger()
		l.listeners[plain].Drops += 9
		l.pass()
		assert.Zero(t, l.saw(plain))
	})
	t.Run("one overflows beside one that defers", func(t *testing.T) {
		l := newLedger()
		for range 3 {
			l.put(20)
			l.drop(plain, 5, 2)
			l.pass()
		}
		assert.Equal(t, []uint64{21, 0, 0}, []uint64{l.saw(plain), l.saw(deferred), l.unattributed})
	})
	t.Run("one that defers overflows", func(t *testing.T) {
		l := newLedger()
		l.put(20)
		l.drop(deferred, 5, 2)
		l.pass()
		assert.Equal(t, []uint64{0, 7, 0}, []uint64{l.saw(plain), l.saw(deferred), l.unattributed})
	})
	t.Run("two that drop SYNs", func(t *testing.T) {
		l := newLedger()
		l.drop(plain, 8, 0)
		l.drop(other, 3, 0)
		l.pass()
		assert.Equal(t, []uint64{8, 3, 0}, []uint64{l.saw(plain), l.saw(other), l.unattributed})
	})
	t.Run("what two may have dropped is nobody's", func(t *testing.T) {
		l := newLedger()
		l.drop(plain, 8, 2)
		l.drop(other, 3, 1)
		l.pass()
		assert.Equal(t, []uint64{9, 2, 3}, []uint64{l.saw(plain), l.saw(other), l.unattributed})
		assert.True(t, l.of(&l.listeners[plain]).atLeast)
		assert.True(t, l.of(&l.listeners[other]).atLeast)
		assert.False(t, l.of(&l.listeners[deferred]).atLeast)
	})
	t.Run("full backlogs are no evidence", func(t *testing.T) {
		l := newLedger()
		l.listeners[plain].Len, l.listeners[deferred].Len = 6, 6
		l.put(4)
		l.drop(plain, 8, 0)
		l.drop(deferred, 0, 20)
		l.drop(other, 0, 1)
		l.pass()
		assert.Equal(t, []uint64{0, 19, 0, 10}, []uint64{l.saw(plain), l.saw(deferred), l.saw(other), l.unattributed})
		for i := range l.listeners {
			assert.True(t, l.of(&l.listeners[i]).atLeast)
		}
	})
	t.Run("drops between the counts and the look", func(t *testing.T) {
		l := newLedger()
		l.drop(plain, 2, 0)
		counts := l.count()
		l.drop(plain, 3, 1)
		l.look(l.listeners, counts)
		assert.Equal(t, uint64(2), l.saw(plain))
		l.pass()
		assert.Equal(t, []uint64{6, 0}, []uint64{l.saw(plain), l.unattributed})
	})
	t.Run("counts that cannot be read once", func(t *testing.T) {
		l := newLedger()
		l.drop(plain, 2, 0)
		l.unread = true
		l.pass()
		l.unread = false
		l.pass()
		assert.Equal(t, []uint64{2, 0}, []uint64{l.saw(plain), l.unattributed})
	})
	t.Run("a listener is gone", func(t *testing.T) {
		l := newLedger()
		l.drop(other, 9, 0)
		l.put(4)
		l.listeners = l.listeners[:other]
		l.pass()
		assert.Equal(t, []uint64{0, 0, 9}, []uint64{l.saw(plain), l.saw(deferred), l.unattributed})
	})
	t.Run("a listener that came later counts from its beginning", func(t *testing.T) {
		l := newLedger()
		late := l.listeners[plain]
		late.Socket, late.Drops = 9, 0
		late.Address = netip.AddrPortFrom(netip.IPv4Unspecified(), 99)
		l.listeners = append(l.listeners, late)
		l.drop(other+1, 5, 5)
		l.pass()
		assert.Equal(t, uint64(10), l.saw(other+1))
	})
	t.Run("sockets that share an address are one", func(t *testing.T) {
		l := newLedger()
		l.listeners[other].Address = l.listeners[plain].Address
		l.pass() // another address than in the first look
		l.listeners[plain].Len, l.listeners[other].Len = 3, 4
		l.drop(plain, 5, 1)
		l.drop(other, 2, 2)
		l.pass()
		assert.Equal(t, uint64(10), l.saw(plain))
		assert.Equal(t, []int{7, 10, 7}, []int{l.of(&l.listeners[plain]).len, l.of(&l.listeners[plain]).limit, l.of(&l.listeners[plain]).max})
	})
}

// discern makes the kernel report what the listeners discard.
func (l *ledger) discern() {
	for i := range l.listeners {
		l.listeners[i].Discerned = true
	}
}

// TestDropsWhereDiscardsAreTold lets all listeners drop at once.
func TestDropsWhereDiscardsAreTold(t *testing.T) {
	staged := func(l *ledger) {
		l.put(106)
		l.listeners[deferred].Discards += 106
		l.drop(plain, 4, 11)
		l.listeners[plain].Discards += 11
		l.drop(other, 7, 3)
		l.listeners[other].Discards += 3
	}
	exact := func(l *ledger) {
		for i := range l.listeners {
			assert.False(t, l.of(&l.listeners[i]).atLeast)
		}
		assert.Zero(t, l.unattributed)
	}
	t.Run("each has its own", func(t *testing.T) {
		l := newLedger()
		l.discern()
		for range 3 {
			staged(l)
			l.pass()
		}
		assert.Equal(t, []uint64{45, 0, 30}, []uint64{l.saw(plain), l.saw(deferred), l.saw(other)})
		exact(l)
	})
	t.Run("in the middle of a look", func(t *testing.T) {
		l := newLedger()
		l.discern()
		for range 3 {
			staged(l)
			counts := l.count()
			staged(l)
			l.look(l.listeners, counts)
		}
		l.pass()
		assert.Equal(t, []uint64{90, 0, 60}, []uint64{l.saw(plain), l.saw(deferred), l.saw(other)})
		exact(l)
	})
	t.Run("a discard that was not told", func(t *testing.T) {
		l := newLedger()
		l.discern()
		l.pass()
		staged(l)
		l.listeners[plain].Discards -= 2
		l.pass()
		assert.Equal(t, []uint64{15, 0, 8}, []uint64{l.saw(plain), l.saw(deferred), l.saw(other)}, "so many the others cannot have had")
		assert.Equal(t, []bool{true, false, true}, []bool{l.of(&l.listeners[plain]).atLeast, l.of(&l.listeners[deferred]).atLeast, l.of(&l.listeners[other]).atLeast})
	})
	t.Run("too many discards", func(t *testing.T) {
		l := newLedger()
		l.discern()
		l.pass()
		staged(l)
		l.listeners[plain].Discards += 2
		l.pass()
		assert.Equal(t, []uint64{13, 0, 10, 2}, []uint64{l.saw(plain), l.saw(deferred), l.saw(other), l.unattributed})
		assert.True(t, l.of(&l.listeners[plain]).atLeast)
	})
}

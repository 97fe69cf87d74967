package worker

import (
	"math"
	"net/netip"
	"time"

	"lapwing/collectors/request"
	"lapwing/probes/socket/snapshot"
)

// address identifies a listening socket. Sockets that share an address and a
// network namespace are one to their clients.
type address struct {
	netns  uint32
	at     netip.AddrPort // TCP
	socket uint64         // unix
}

func addressOf(l *snapshot.Listener) address {
	if l.IsUnix() {
		return address{socket: l.Socket}
	}
	return address{netns: l.NetNS, at: l.Address}
}

// ListenCounts are the kernel's counts for all TCP listeners of a network namespace
// together, since the namespace was made.
type ListenCounts struct {
	Drops    uint64 // ListenDrops: connection attempts, including overflows
	Deferred uint64 // TCPDeferAcceptDrop: ends of handshakes that accept need not see yet
}

// account is what is known of the listening sockets of one address.
type account struct {
	sockets map[uint64]counter // count of each socket
	before  map[uint64]counter // count of each socket at the last look
	defers  bool               // it defers accept until data arrives
	len     int
	limit   int
	open    bool // as of the last look

	grown     uint64 // what the sockets counted since the last look
	discarded bool   // discarded segments were subtracted from grown
	carry     uint64 // counts that may belong to the next period of the namespace's counts

	// the socket with connections for which no thread waited, and the look that
	// found it
	neglects   uint64
	neglectsAt request.Stamp

	drops   uint64 // connection attempts that were certainly dropped, since the start
	atLeast bool   // there may have been more drops
	max     int    // the longest backlog seen
}

// counter is the count of a listening socket: all, and the part that is not drops,
// if the kernel reports it.
type counter struct{ all, discards uint32 }

// neglected notes that no thread waits at a socket, and reports whether the
// previous look found the same.
func (a *account) neglected(socket uint64, now request.Stamp) bool {
	again := a.neglects == socket && now > a.neglectsAt && now-a.neglectsAt < neglectedFor
	if a.neglects != socket || now > a.neglectsAt {
		a.neglects, a.neglectsAt = socket, now
	}
	return again
}

// neglectedFor is the maximum time between two looks that find the same.
const neglectedFor = request.Stamp(3 * time.Second)

// namespace is a network namespace with listeners.
type namespace struct {
	pid    uint32       // a process in it
	other  uint32       // another process, used when pid has ended
	counts ListenCounts // from before the last look
	after  ListenCounts // from after the last look
	known  bool         // counts were read
	early  bool         // counts are from before the look
}

// maxAccounts limits the addresses that are watched.
const maxAccounts = 16384

// drops finds how many connection attempts each listener dropped since the first
// look, whatever pool the listener belongs to.
//
// The counter of a listening socket is not enough. It also counts the end of each
// handshake that a server with deferred accept need not see, repeated SYNs, and
// some drops twice. All of these are segments that the kernel discards at the
// socket. Newer kernels report them, and then the difference is the number of
// drops. The sum over all listeners is compared with the counter of the namespace,
// which is exact.
//
// If the kernel does not report them, or the sum does not match, the two counters
// must be enough: what the namespace counted between two looks belongs to the
// sockets whose own counters grew by as much. If several grew, each gets what the
// others cannot have had. It is not known to which listener the rest belongs. The
// rest is counted separately, and the counts of these listeners are minimums.
type drops struct {
	read         func(pid, netns uint32) (ListenCounts, error)
	spaces       map[uint32]*namespace
	accounts     map[address]*account
	unattributed uint64
	begun        bool // the first look was taken
	discerned    bool // the kernel reports what listeners discard
}

func newDrops(read func(pid, netns uint32) (ListenCounts, error)) *drops {
	return &drops{read: read, spaces: map[uint32]*namespace{}, accounts: map[address]*account{}}
}

// of returns the account of a listener's address, or nil if there are too many.
func (d *drops) of(l *snapshot.Listener) *account { return d.accounts[addressOf(l)] }

// count reads the counts of all namespaces. It is called before a look: what the
// kernel counts during the look belongs to the next one.
func (d *drops) count() map[uint32]ListenCounts {
	all := make(map[uint32]ListenCounts, len(d.spaces))
	for id, s := range d.spaces {
		if n, err := d.read(s.pid, id); err == nil {
			all[id] = n
		}
	}
	return all
}

// look takes the listeners that a look found, and the counts from before it.
func (d *drops) look(listeners []snapshot.Listener, counts map[uint32]ListenCounts) {
	d.see(listeners)
	vanished := d.forget()
	for id, s := range d.spaces {
		now, ok := counts[id]
		early := ok
		if !ok && !s.known {
			now, ok = d.baseline(s, id)
		}
		if !ok {
			continue // the next look then covers a longer time
		}
		after := now
		if s.known {
			after = d.afterwards(s, id, now)
			d.settle(id, s, now, after, vanished[id])
		}
		s.counts, s.after, s.known, s.early = now, after, true, early
	}
	d.begun = true
}

// since returns what was counted since earlier counts.
func (c ListenCounts) since(earlier ListenCounts) ListenCounts {
	return ListenCounts{c.Drops - earlier.Drops, c.Deferred - earlier.Deferred}
}

// afterwards returns the counts of a namespace after the look. It does not read
// them if no listener counted anything.
func (d *drops) afterwards(s *namespace, id uint32, before ListenCounts) ListenCounts {
	for key, a := range d.accounts {
		if key.netns == id && a.grown > 0 {
			if after, err := d.read(s.pid, id); err == nil {
				return after
			}
			before.Drops += math.MaxUint32 // the count is unknown, so assume the maximum
			return before
		}
	}
	return before
}

func (d *drops) baseline(s *namespace, id uint32) (ListenCounts, bool) {
	n, err := d.read(s.pid, id)
	return n, err == nil
}

// see updates the accounts of the listeners that exist.
func (d *drops) see(listeners []snapshot.Listener) {
	for _, a := range d.accounts {
		a.before, a.sockets = a.sockets, map[uint64]counter{}
		a.open, a.len, a.limit = false, 0, 0
	}
	seen := make(map[uint64]bool, len(listeners))
	for i := range listeners {
		l := &listeners[i]
		if !l.IsUnix() {
			d.space(l)
		}
		if !seen[l.Socket] { // several processes can have the socket open
			seen[l.Socket] = true
			d.account(l)
		}
	}
	for _, a := range d.accounts {
		a.max = max(a.max, a.len)
	}
	for _, s := range d.spaces {
		s.pid = s.other
	}
}

func (d *drops) space(l *snapshot.Listener) {
	s := d.spaces[l.NetNS]
	if s == nil {
		s = &namespace{}
		d.spaces[l.NetNS] = s
	}
	if s.other != s.pid || s.pid == 0 {
		s.other = l.PID
	}
	if l.PID == s.pid { // as long as the process exists
		s.other = s.pid
	}
}

func (d *drops) account(l *snapshot.Listener) {
	key := addressOf(l)
	a := d.accounts[key]
	if a == nil {
		if len(d.accounts) >= maxAccounts {
			return
		}
		a = &account{sockets: map[uint64]counter{}}
		d.accounts[key] = a
	}
	now := counter{l.Drops, l.Discards}
	before, known := a.before[l.Socket]
	if !known && !d.begun {
		before = now // counted before the start
	}
	a.grown += uint64(now.all - before.all)
	if l.Discerned {
		d.discerned = true
		discards := uint64(now.discards - before.discards)
		a.discarded = a.discarded || discards > 0
		a.grown -= min(a.grown, discards)
	}
	a.sockets[l.Socket] = now
	a.open = true
	a.defers = a.defers || l.Deferred
	a.len += l.Len
	a.limit += l.Limit
}

// forget removes the accounts of listeners that are gone. It returns the namespaces
// in which sockets are gone: the last counts of these are not known.
func (d *drops) forget() map[uint32]bool {
	vanished, there := map[uint32]bool{}, map[uint32]bool{}
	for key, a := range d.accounts {
		if !a.open {
			vanished[key.netns] = true
			delete(d.accounts, key)
			continue
		}
		there[key.netns] = true
		for socket := range a.before {
			if _, ok := a.sockets[socket]; !ok {
				vanished[key.netns] = true
			}
		}
	}
	for id := range d.spaces {
		if !there[id] {
			delete(d.spaces, id)
		}
	}
	return vanished
}

// settle distributes the counts of a namespace to its listeners. What the namespace
// counted during the look may already be in the listeners' own counts.
func (d *drops) settle(netns uint32, s *namespace, now, after ListenCounts, vanished bool) {
	var all []*account
	sum := uint64(0)
	for key, a := range d.accounts {
		if key.netns == netns && key.socket == 0 {
			all = append(all, a)
			sum += a.grown
		}
	}
	switch {
	case !d.discerned:
		d.limit(all, now.since(s.counts), after.since(now), vanished)
	case s.early && sum > after.Drops-s.counts.Drops:
		// Something was not subtracted: the sums do not match.
		d.limit(all, ListenCounts{Drops: now.Drops - s.counts.Drops}, after.since(now), vanished)
	default:
		d.give(all, sum, now.Drops-min(now.Drops, s.after.Drops), vanished)
	}
	for _, a := range all {
		a.grown, a.discarded = 0, false
	}
}

// give adds the listeners' own counts. The namespace counted at least least drops.
func (d *drops) give(all []*account, sum, least uint64, vanished bool) {
	missing := least - min(least, sum)
	d.unattributed += missing
	for _, a := range all {
		a.drops += a.grown
		if missing > 0 && !vanished && a.discarded { // too much may have been subtracted
			a.atLeast = true
		}
	}
}

// limit gives each listener what the others cannot have had.
func (d *drops) limit(all []*account, counted, during ListenCounts, vanished bool) {
	most := atMost(all, counted.Deferred)
	sum := uint64(0)
	for _, n := range most {
		sum += n
	}
	given := make([]uint64, len(all))
	left := counted.Drops
	for i := range all {
		if others := sum - most[i]; !vanished && counted.Drops > others {
			given[i] = min(counted.Drops-others, most[i], left)
			left -= given[i]
		}
	}
	for i, a := range all {
		a.drops += given[i]
		a.atLeast = a.atLeast || left > 0 && most[i] > given[i]
		a.carry = min(most[i]-given[i], a.grown, during.Drops+during.Deferred)
	}
	d.unattributed += left
}

// atMost returns how many connection attempts each listener can have dropped at
// most. For the listeners with deferred accept, the number of deferred ends of
// handshakes is known only for all of them together.
func atMost(all []*account, deferred uint64) []uint64 {
	most := make([]uint64, len(all))
	left := uint64(0)
	for i, a := range all {
		most[i] = a.grown + a.carry
		if a.defers {
			left += most[i]
		}
	}
	left -= min(left, deferred)
	for i, a := range all {
		if a.defers {
			most[i] = min(most[i], left)
		}
	}
	return most
}

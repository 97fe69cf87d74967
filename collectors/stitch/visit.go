package stitch

import (
	"net/netip"
	"slices"
	"sort"
	"time"

	"lapwing/collectors/request"
)

// visit is what is remembered of a request after it was exported. The request may
// have been in progress at the start of a call that ends much later.
type visit struct {
	ref      request.Ref
	cause    request.Ref
	read     request.Stamp
	answered request.Stamp // start of its response, or its end if there was none
	end      request.Stamp
	since    request.Stamp // time when it was passed in
	pid      uint32
	tid      uint32
	writer   uint32
	clue     *request.Clue
	peer     netip.Addr
}

// process is the state of one process that reads requests and makes calls.
type process struct {
	visits []*visit // in the order in which they were read
	calls  []*call  // in the order in which they were first written
	unseen unseen
}

const (
	maxVisits  = 1 << 14 // of one process
	maxScanned = 1 << 12 // visits or calls that are examined for one decision
	// remember is how long a visit is kept. No request waits longer.
	remember = patience + settle
)

func (s *Stitcher) processOf(pid uint32) *process {
	p := s.processes[pid]
	if p == nil {
		p = new(process)
		s.processes[pid] = p
	}
	return p
}

// visited records a request of a process that makes calls.
func (s *Stitcher) visited(r *request.Request) {
	if !r.Links.Calls || !r.ReadFirst.Seen() {
		return
	}
	v := &visit{
		ref: refOf(r), cause: r.Links.Cause, clue: r.Links.Clue, peer: r.Peer.Addr.Addr(),
		read: r.ReadFirst, answered: r.WriteFirst, end: r.End(), since: s.now,
		pid: r.PID, tid: r.TID, writer: r.WriterTID,
	}
	if !v.answered.Seen() {
		v.answered = v.end
	}
	p := s.processOf(r.PID)
	if len(p.visits) >= maxVisits {
		p.visits = slices.Delete(p.visits, 0, maxVisits/4)
	}
	p.visits = slices.Insert(p.visits, p.after(v.read), v)
}

// began records a call of a process.
func (p *process) began(c *call) {
	at := sort.Search(len(p.calls), func(i int) bool { return p.calls[i].Used() > c.Used() })
	p.calls = slices.Insert(p.calls, at, c)
}

// after returns the index of the first visit that was read after a moment.
func (p *process) after(at request.Stamp) int {
	return sort.Search(len(p.visits), func(i int) bool { return p.visits[i].read > at })
}

// openAt reports whether a visit was read and not answered at a moment.
func (v *visit) openAt(at request.Stamp) bool { return v.read <= at && at <= v.answered }

// open returns how many of the known visits were open at a moment, and one of them.
// It counts up to most.
func (p *process) open(at request.Stamp, most int) (n int, one *visit) {
	end := p.after(at)
	for i := end - 1; i >= max(0, end-maxScanned) && n < most; i-- {
		if v := p.visits[i]; v.openAt(at) {
			n, one = n+1, v
		}
	}
	return n, one
}

// during calls do for each visit that overlaps with a time span, until do returns
// false.
func (p *process) during(from, to request.Stamp, do func(*visit) bool) {
	end := p.after(to)
	for i := end - 1; i >= max(0, end-maxOverlap); i-- {
		if v := p.visits[i]; v.end >= from && !do(v) {
			return
		}
	}
}

// maxOverlap is how many visits are searched for overlaps.
const maxOverlap = 512

// callsIn returns the calls that started in a time span. There are none if the span
// ends before it starts, as for a request that was not answered.
func (p *process) callsIn(from, to request.Stamp) []*call {
	first := sort.Search(len(p.calls), func(i int) bool { return p.calls[i].Used() >= from })
	last := sort.Search(len(p.calls), func(i int) bool { return p.calls[i].Used() > to })
	return p.calls[first:max(first, min(last, first+maxScanned))]
}

// unseen is the number of requests that the kernel counts as open but that never
// come: they stay open for longer than anything waits, or the kernel missed their
// end.
type unseen struct {
	since  request.Stamp
	now    uint32 // the minimum in the current period
	before uint32 // the minimum in the previous period
	known  bool
}

// observe records how many requests were missing for a call, after a wait in which
// all others came.
func (u *unseen) observe(at request.Stamp, missing uint32) {
	if !u.since.Seen() || time.Duration(at-min(at, u.since)) > 2*patience {
		if u.known = u.since.Seen(); u.known {
			u.before = u.now
		}
		u.since, u.now = at, missing
		return
	}
	u.now = min(u.now, missing)
}

func (u *unseen) least() uint32 {
	if !u.known {
		return 0
	}
	return min(u.now, u.before)
}

// missing returns how many requests were open when a call started and have not
// come. It is 0 if the kernel did not count them.
func (p *process) missing(c *call) uint32 {
	if c.Links.Evidence&request.EvidenceCounted == 0 {
		return 0
	}
	want := c.Links.Open
	n, _ := p.open(c.Used(), int(want))
	return want - uint32(n)
}

// complete reports whether all requests that may have made a call are known.
func (p *process) complete(c *call) bool { return p.missing(c) <= p.unseen.least() }

// forgetVisits drops old visits, and processes without visits and calls.
func (s *Stitcher) forgetVisits() {
	for pid, p := range s.processes {
		p.visits = slices.DeleteFunc(p.visits, func(v *visit) bool { return s.age(v.since) >= remember })
		if len(p.visits)+len(p.calls) == 0 {
			delete(s.processes, pid)
		}
	}
}

package stitch

import (
	"golang.org/x/sys/unix"

	"lapwing/collectors/request"
	"lapwing/probes/socket/wire"
)

// kernel does what probes/socket/bpf/src/work/worker.h does for one process, step
// by step.
type kernel struct {
	now     request.Stamp
	threads map[uint32]*thread
	since   request.Stamp // the process makes calls
	open    uint32
	reads   uint32
}

// thread is struct worker, with how often the thread slept.
type thread struct {
	of     request.Ref
	call   request.Ref
	since  request.Stamp
	open   uint32
	most   uint32
	starts int
	clean  int
	fouls  int
	slept  int
	sleeps int // until now
}

const (
	settled     = request.Stamp(1e9)
	cleanStarts = 20
)

func (k *kernel) thread(id uint32) *thread {
	t := k.threads[id]
	if t == nil {
		t = &thread{since: k.now}
		k.threads[id] = t
	}
	return t
}

// served is a request as the kernel keeps it.
type served struct {
	ref        request.Ref
	readFirst  request.Stamp
	readLast   request.Stamp
	writeFirst request.Stamp
	writeLast  request.Stamp
	tid        uint32
	writer     uint32
	counted    bool
	calls      bool
	cause      request.Ref
}

func (k *kernel) read(r *served, tid uint32) {
	if !r.readFirst.Seen() {
		r.readFirst, r.tid = k.now, tid
	}
	r.readLast = k.now
	if !k.since.Seen() {
		return
	}
	t := k.thread(tid)
	t.of, t.call, t.starts, t.slept = r.ref, request.Ref{}, 0, t.sleeps
	r.calls = true
	if r.counted || r.tid != tid {
		return
	}
	r.cause, r.counted = request.Ref{}, true
	t.open++
	t.most = max(t.most, t.open)
	k.open++
	k.reads++
}

func (k *kernel) answer(r *served, tid uint32) {
	r.writeFirst, r.writeLast, r.writer = k.now, k.now, tid
	if !k.since.Seen() {
		return
	}
	if r.counted {
		r.counted = false
		if of := k.threads[r.tid]; of != nil && of.open > 0 {
			of.open--
		}
		k.open--
	}
	r.calls = true
	t := k.threads[tid]
	if t == nil {
		r.cause = request.Ref{}
		return
	}
	r.cause = t.call
	if t.most == 0 {
		t.call = request.Ref{}
	}
}

// asked is a connection for calls, with the record of the last one.
type asked struct {
	rec    wire.RecordFields
	events uint32
	fresh  bool // nothing was written
	http   string
}

func (k *kernel) connect(c *asked, tid uint32) {
	if !k.since.Seen() {
		k.since = k.now
	}
	c.rec.Accepted = uint64(k.now)
	k.begin(c, tid)
}

// begin is exchange_begin.
func (k *kernel) begin(c *asked, tid uint32) {
	r := &c.rec
	r.Seq++
	r.WriteFirst, r.WriteLast, r.ReadFirst, r.ReadLast = 0, 0, 0, 0
	r.Pid, r.Tid, r.WriterTid = 1, tid, tid
	c.fresh = true
	t := k.threads[tid]
	r.Caller, r.Cause, r.CallerSeq, r.CauseSeq = 0, 0, 0, 0
	r.Evidence = k.howMany(t, &r.AcceptorTid)
	c.events = k.reads
	if t == nil || t.most == 0 {
		r.Evidence |= wire.EvidenceNoReader
	}
	if t == nil {
		return
	}
	r.Cause, r.CauseSeq = t.of.Conn, t.of.Seq
	r.Caller, r.CallerSeq = t.call.Conn, t.call.Seq
	r.Evidence |= t.direct()
	t.starts++
}

func (t *thread) direct() uint8 {
	if t.most < 2 || !t.of.Known() || t.call.Known() {
		return 0
	}
	if t.starts > 0 {
		t.fouls++
		return wire.EvidenceFoul
	}
	if t.slept != t.sleeps {
		return 0
	}
	t.clean++
	if t.fouls == 0 && t.clean > cleanStarts {
		return wire.EvidenceDirect
	}
	return wire.EvidenceClean
}

func (k *kernel) howMany(t *thread, open *uint32) (e uint8) {
	*open = k.open
	if k.since.Seen() && k.since+settled < k.now {
		e = wire.EvidenceCounted
		if k.open == 1 {
			e |= wire.EvidenceSole
		}
	}
	if t == nil || t.since+settled >= k.now {
		return e
	}
	if t.most == 1 {
		e |= wire.EvidenceAlone
	}
	if t.open == 1 {
		e |= wire.EvidenceOnly
	}
	return e
}

func (k *kernel) write(c *asked, tid uint32) {
	r := &c.rec
	c.fresh = false
	t := k.threads[tid]
	e := k.howMany(t, &r.AcceptorTid)
	r.Marker, r.ClientWait, r.WriterTid = r.Cause, uint64(r.CauseSeq), r.Tid
	sole := r.Evidence&e&wire.EvidenceSole != 0
	if sole && c.events == k.reads {
		e = r.Evidence
	} else {
		r.WriterTid = tid
	}
	if r.WriterTid != r.Tid || !sole {
		r.Marker, r.ClientWait = 0, 0
		if t != nil {
			r.Marker, r.ClientWait = t.of.Conn, uint64(t.of.Seq)
		}
	}
	if t == nil || t.most == 0 {
		e |= wire.EvidenceNoReader
	}
	r.Produce = uint64(e)
	r.WriteFirst, r.WriteLast = uint64(k.now), uint64(k.now)
}

func (k *kernel) hear(c *asked, tid uint32) {
	t := k.thread(tid)
	t.of = request.Ref{Conn: c.rec.Cause, Seq: c.rec.CauseSeq}
	t.call = c.ref()
	if c.rec.ReadFirst == 0 {
		c.rec.ReadFirst = uint64(k.now)
	}
	c.rec.ReadLast = uint64(k.now)
}

func (c *asked) ref() request.Ref { return request.Ref{Conn: c.rec.Conn, Seq: c.rec.Seq} }

// record returns the record of a call.
func (c *asked) record() wire.Record {
	f := c.rec
	f.Family = unix.AF_INET
	f.RequestBytes = uint64(len(c.http))
	return wire.Compose(f, nil, []byte(c.http), []byte("HTTP/1.1 200 OK\r\n\r\n"))
}

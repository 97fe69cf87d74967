package fastcgi

import (
	"encoding/binary"

	"lapwing/collectors/protocol"
)

// Types of records.
const (
	typeBegin     = 1
	typeAbort     = 2
	typeEnd       = 3
	typeParams    = 4
	typeStdin     = 5
	typeStdout    = 6
	typeStderr    = 7
	typeData      = 8
	typeGetValues = 9
	typeLast      = 11
)

// Roles of an application.
const (
	roleAuthorizer = 2
	roleFilter     = 3
)

const (
	version   = 1
	headerLen = 8
	bodyLen   = 8 // of BEGIN and END records
)

// record is the current record of a direction.
type record struct {
	header [headerLen]byte
	have   int // bytes of the header so far

	kind byte
	id   uint16

	content uint64 // bytes that remain
	padding uint64

	body [bodyLen]byte // content of BEGIN and END records
	got  int

	lost bool // the place is lost
}

// headed reports whether the header is complete.
func (r *record) headed() bool { return r.have == headerLen }

// ended reports whether the whole record has come.
func (r *record) ended() bool { return r.headed() && r.content == 0 && r.padding == 0 }

// takeHeader takes bytes of the header off s. ok is false if no record starts like
// this, or if the bytes are not at hand.
func (r *record) takeHeader(s *protocol.Stretch) (ok bool) {
	n := copy(r.header[r.have:], s.Data)
	r.have += n
	s.Skip(uint64(n))
	if !r.headed() {
		return s.N == 0 && r.header[0] == version
	}
	h := &r.header
	r.kind, r.id, r.got = h[1], binary.BigEndian.Uint16(h[2:]), 0
	r.content, r.padding = uint64(binary.BigEndian.Uint16(h[4:])), uint64(h[6])
	if r.kind == typeBegin || r.kind == typeEnd {
		ok = r.content == bodyLen
	} else {
		ok = r.kind > 0 && r.kind <= typeLast
	}
	return ok && h[0] == version
}

// keep stores content of a BEGIN or END record.
func (r *record) keep(part protocol.Stretch) { r.got += copy(r.body[r.got:], part.Data) }

// lose gives up the place.
func (r *record) lose() { *r = record{lost: true} }

// regain treats the next byte as the start of a record, if the place was lost.
func (r *record) regain() {
	if r.lost {
		*r = record{}
	}
}

// length parses the length of a name or a value. It has one byte or four.
func length(b []byte) (n uint64, used int) {
	switch {
	case len(b) > 0 && b[0] < 0x80:
		return uint64(b[0]), 1
	case len(b) < 4:
		return 0, 0
	}
	return uint64(binary.BigEndian.Uint32(b) & 0x7fffffff), 4
}

// begins reports whether b starts with a BEGIN record, as far as b goes.
func begins(b []byte) bool {
	return len(b) >= headerLen && b[0] == version && b[1] == typeBegin &&
		binary.BigEndian.Uint16(b[2:]) != 0 && binary.BigEndian.Uint16(b[4:]) == bodyLen &&
		(len(b) < headerLen+2 || b[8] == 0 && b[9] > 0 && b[9] <= roleFilter)
}

package socket

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The generated types under the names the agent uses.
type (
	record = socketPlanRecord
	event  = socketPlanEvent
)

// RecordFields is the fixed part of a Record, as the kernel lays it out.
type RecordFields = socketPlanRecord

// Compose makes a record as the kernel would, for tests of what takes records.
// It sets the lengths of the parts by itself.
func Compose(f RecordFields, name, requestHead, responseHead []byte) Record {
	f.NameLen, f.ReqLen, f.RespLen = uint16(len(name)), uint16(len(requestHead)), uint16(len(responseHead))
	raw := make([]byte, recordSize, recordSize+len(name)+len(requestHead)+len(responseHead))
	copy(raw, unsafe.Slice((*byte)(unsafe.Pointer(&f)), recordSize))
	raw = append(append(append(raw, name...), requestHead...), responseHead...)
	r, _ := decodeRecord(raw)
	return r
}

// EventFields is the fixed part of an Event, as the kernel lays it out.
type EventFields = socketPlanEvent

// ComposeEvent makes an event as the kernel would, for tests of what takes
// events. It sets the lengths by itself.
func ComposeEvent(f EventFields, kind Kind, data []byte) Event {
	f.Kind, f.DataLen = uint16(kind), uint32(len(data))
	if f.Count == 0 {
		f.Count = uint64(len(data))
	}
	raw := make([]byte, eventSize, int(unsafe.Sizeof(f))+len(data)) // with the padding that Go adds
	copy(raw, unsafe.Slice((*byte)(unsafe.Pointer(&f)), eventSize))
	e, _ := decodeEvent(append(raw, data...))
	return e
}

// Record is one request as the kernel wrote it. It points into a buffer that is
// reused when the handler returns. All times are nanoseconds of the monotonic
// clock; zero means not seen.
type Record struct{ *record }

// Event is one read, write or close on a connection that user space frames,
// under the same conditions.
type Event struct{ *event }

// The sizes of the fixed parts. (Go pads a type that ends in an array of no
// elements, C does not.)
const (
	recordSize = int(unsafe.Offsetof(record{}.Bytes))
	eventSize  = int(unsafe.Offsetof(event{}.Data))
)

// The marks of a record.
const (
	MarkPipelined  = uint16(socketPlanMarkMARK_PIPELINED)
	MarkEarly      = uint16(socketPlanMarkMARK_EARLY)
	MarkContinued  = uint16(socketPlanMarkMARK_CONTINUED)
	MarkResponding = uint16(socketPlanMarkMARK_RESPONDING)
	MarkUpgraded   = uint16(socketPlanMarkMARK_UPGRADED)
	MarkCaller     = uint16(socketPlanMarkMARK_CALLER)
	MarkGuess      = uint16(socketPlanMarkMARK_GUESS)
)

// What speaks for the request that a call is said to belong to.
const (
	EvidenceAlone    = uint8(socketPlanEvidenceEVIDENCE_ALONE)
	EvidenceDirect   = uint8(socketPlanEvidenceEVIDENCE_DIRECT)
	EvidenceFoul     = uint8(socketPlanEvidenceEVIDENCE_FOUL)
	EvidenceNoReader = uint8(socketPlanEvidenceEVIDENCE_NO_READER)
	EvidenceOnly     = uint8(socketPlanEvidenceEVIDENCE_ONLY)
	EvidenceSole     = uint8(socketPlanEvidenceEVIDENCE_SOLE)
)

// Kind says what a message of the kernel is.
type Kind uint16

// The kinds. Of a Tentative record a Final one follows; after an Open record
// the connection's Read, Write and Close events follow. A Call is an exchange
// that a server began itself; it may come again with more of its response.
const (
	Final     = Kind(socketPlanKindKIND_FINAL)
	Tentative = Kind(socketPlanKindKIND_TENTATIVE)
	Opened    = Kind(socketPlanKindKIND_OPEN)
	Unknown   = Kind(socketPlanKindKIND_UNKNOWN)
	Read      = Kind(socketPlanKindKIND_READ)
	Write     = Kind(socketPlanKindKIND_WRITE)
	Close     = Kind(socketPlanKindKIND_CLOSE)
	Call      = Kind(socketPlanKindKIND_CALL)
)

// Reason says why a connection is ignored.
type Reason uint16

// The reasons of Unknown records.
const (
	ReasonBytes       = Reason(socketPlanReasonREASON_BYTES)
	ReasonServerFirst = Reason(socketPlanReasonREASON_SERVER_FIRST)
	ReasonNoBytes     = Reason(socketPlanReasonREASON_NO_BYTES)
)

// bytes are the n bytes that follow the fixed part of r from offset at on.
// decode has made sure that they exist.
func (r Record) bytes(at, n int) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(r.record), recordSize+at)), n)
}

// Name is the unix socket's name: a path, or an abstract name that begins with
// a zero byte. It is empty for TCP.
func (r Record) Name() []byte { return r.bytes(0, int(r.NameLen)) }

// RequestHead is the begin of the request, as far as it was captured.
func (r Record) RequestHead() []byte { return r.bytes(int(r.NameLen), int(r.ReqLen)) }

// ResponseHead is the begin of the response, as far as it was captured.
func (r Record) ResponseHead() []byte {
	return r.bytes(int(r.NameLen)+int(r.ReqLen), int(r.RespLen))
}

// ResponseTail are the last bytes of the response, at most eight; none when
// they were not visible, or when the head alone tells where the response ends.
func (r Record) ResponseTail() []byte {
	if uint64(r.RespLen) == r.ResponseBytes {
		head := r.ResponseHead()
		return head[max(0, len(head)-len(r.record.Tail)):]
	}
	return r.record.Tail[:min(int(r.TailLen), len(r.record.Tail))]
}

// Clone copies the record into buf, which grows as needed, and returns both.
// The copy is valid as long as buf is not used for anything else.
func (r Record) Clone(buf []byte) (Record, []byte) {
	n := recordSize + int(r.NameLen) + int(r.ReqLen) + int(r.RespLen)
	buf = append(buf[:0], unsafe.Slice((*byte)(unsafe.Pointer(r.record)), n)...)
	clone, _ := decodeRecord(buf)
	return clone, buf
}

// IsUnix reports whether the connection is on a unix socket.
func (r Record) IsUnix() bool { return r.Family == unix.AF_UNIX }

// Command is the command name of the thread that read the request.
func (r Record) Command() *[16]byte { return (*[16]byte)(unsafe.Pointer(&r.record.Comm)) }

// Kind is what happened.
func (e Event) EventKind() Kind { return Kind(e.event.Kind) }

// Bytes are the first of the bytes read or written, at most 8 KiB.
func (e Event) Bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(e.event), eventSize)), int(e.DataLen))
}

// Piece says that what a read returned from an offset on arrived at another
// time than what is before it; zero is a time that was not seen.
type Piece struct {
	Offset  uint64
	Arrived uint64
}

// Pieces are those of a read, the first bytes' not among them. Where the kernel
// could not tell them apart, only the first byte's time is known.
func (e Event) Pieces() []Piece {
	switch n := int(e.PiecesLen); {
	case n == 0:
		return nil
	case n > len(e.event.Pieces):
		return []Piece{{Offset: 1}}
	default:
		out := make([]Piece, n)
		for i, p := range e.event.Pieces[:n] {
			out[i] = Piece{uint64(p.Offset), p.At}
		}
		return out
	}
}

// Command is the command name of the thread.
func (e Event) Command() *[16]byte { return (*[16]byte)(unsafe.Pointer(&e.event.Comm)) }

// decodeRecord views a message as a record; ok is false when it is cut.
func decodeRecord(raw []byte) (Record, bool) {
	if len(raw) < recordSize {
		return Record{}, false
	}
	r := Record{(*record)(unsafe.Pointer(unsafe.SliceData(raw)))}
	return r, len(raw) >= recordSize+int(r.NameLen)+int(r.ReqLen)+int(r.RespLen)
}

func decodeEvent(raw []byte) (Event, bool) {
	if len(raw) < eventSize {
		return Event{}, false
	}
	e := Event{(*event)(unsafe.Pointer(unsafe.SliceData(raw)))}
	return e, len(raw) >= eventSize+int(e.DataLen)
}

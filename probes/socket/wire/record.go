package wire

import (
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"lapwing/probes/socket/bpf"
)

// The generated types under the names the agent uses.
type (
	record = bpf.SocketPlanRecord
	event  = bpf.SocketPlanEvent
)

// Framing is the state that determines the end of a message in one direction of a
// connection.
type Framing = bpf.SocketPlanFraming

// Place is the position of a direction within a message.
type Place = bpf.SocketPlanPlace

// The places, from the start of a message to its end.
const (
	PlaceStart       = bpf.SocketPlanPlacePLACE_START
	PlaceLine        = bpf.SocketPlanPlacePLACE_LINE
	PlaceSkip        = bpf.SocketPlanPlacePLACE_SKIP
	PlaceName        = bpf.SocketPlanPlacePLACE_NAME
	PlaceValue       = bpf.SocketPlanPlacePLACE_VALUE
	PlaceBody        = bpf.SocketPlanPlacePLACE_BODY
	PlaceLength      = bpf.SocketPlanPlacePLACE_LENGTH
	PlaceSize        = bpf.SocketPlanPlacePLACE_SIZE
	PlaceSizeRest    = bpf.SocketPlanPlacePLACE_SIZE_REST
	PlaceChunk       = bpf.SocketPlanPlacePLACE_CHUNK
	PlaceChunkEnd    = bpf.SocketPlanPlacePLACE_CHUNK_END
	PlaceTrailer     = bpf.SocketPlanPlacePLACE_TRAILER
	PlaceTrailerLine = bpf.SocketPlanPlacePLACE_TRAILER_LINE
	PlaceClose       = bpf.SocketPlanPlacePLACE_CLOSE
	PlaceLost        = bpf.SocketPlanPlacePLACE_LOST
	PlaceEnd         = bpf.SocketPlanPlacePLACE_END
)

// RecordFields is the fixed part of a Record, as the kernel lays it out.
type RecordFields = bpf.SocketPlanRecord

// Compose returns a record like those of the kernel. It is for tests of code that takes
// records. It sets the lengths of the parts itself.
func Compose(f RecordFields, name, requestHead, responseHead []byte) Record {
	return compose(f, name, requestHead, nil, responseHead)
}

// ComposeTraced is Compose for a request whose traceparent comes after what was
// captured of its head.
func ComposeTraced(f RecordFields, requestHead []byte, traceParent string, responseHead []byte) Record {
	return compose(f, nil, requestHead, []byte(traceParent), responseHead)
}

func compose(f RecordFields, name, requestHead, traceParent, responseHead []byte) Record {
	f.NameLen, f.ReqLen, f.RespLen = uint16(len(name)), uint16(len(requestHead)), uint16(len(responseHead))
	f.TraceLen = uint8(len(traceParent))
	raw := make([]byte, recordSize)
	copy(raw, unsafe.Slice((*byte)(unsafe.Pointer(&f)), recordSize))
	r, _ := DecodeRecord(slices.Concat(raw, name, requestHead, traceParent, responseHead))
	return r
}

// EventFields is the fixed part of an Event, as the kernel lays it out.
type EventFields = bpf.SocketPlanEvent

// ComposeEvent returns an event like those of the kernel. It is for tests of code that
// takes events. It sets the lengths itself.
func ComposeEvent(f EventFields, kind Kind, data []byte) Event {
	f.Kind, f.DataLen = uint16(kind), uint32(len(data))
	if f.Count == 0 {
		f.Count = uint64(len(data))
	}
	// with the padding that Go adds
	raw := make([]byte, EventSize, int(unsafe.Sizeof(f))+len(data))
	copy(raw, unsafe.Slice((*byte)(unsafe.Pointer(&f)), EventSize))
	e, _ := DecodeEvent(append(raw, data...))
	return e
}

// Record is one request as the kernel wrote it. It points into a buffer that is reused
// when the handler returns. All times are nanoseconds of the monotonic clock; zero means
// not seen.
type Record struct{ *record }

// Event is one read, write or close on a connection that user space frames. It is valid
// as long as a Record is.
type Event struct{ *event }

// The sizes of the fixed parts. (Go pads a type that ends in an array of no
// elements, C does not.)
const (
	recordSize = int(unsafe.Offsetof(record{}.Bytes))
	EventSize  = int(unsafe.Offsetof(event{}.Data))
)

// The marks of a record.
const (
	MarkPipelined  = uint16(bpf.SocketPlanMarkMARK_PIPELINED)
	MarkEarly      = uint16(bpf.SocketPlanMarkMARK_EARLY)
	MarkContinued  = uint16(bpf.SocketPlanMarkMARK_CONTINUED)
	MarkResponding = uint16(bpf.SocketPlanMarkMARK_RESPONDING)
	MarkUpgraded   = uint16(bpf.SocketPlanMarkMARK_UPGRADED)
	MarkCaller     = uint16(bpf.SocketPlanMarkMARK_CALLER)
	MarkGuess      = uint16(bpf.SocketPlanMarkMARK_GUESS)
	MarkProxied    = uint16(bpf.SocketPlanMarkMARK_PROXIED)
	MarkSoFar      = uint16(bpf.SocketPlanMarkMARK_SO_FAR)
	MarkReported   = uint16(bpf.SocketPlanMarkMARK_REPORTED)
)

// The evidence for the request that a call is said to belong to.
const (
	EvidenceAlone    = uint8(bpf.SocketPlanEvidenceEVIDENCE_ALONE)
	EvidenceDirect   = uint8(bpf.SocketPlanEvidenceEVIDENCE_DIRECT)
	EvidenceFoul     = uint8(bpf.SocketPlanEvidenceEVIDENCE_FOUL)
	EvidenceNoReader = uint8(bpf.SocketPlanEvidenceEVIDENCE_NO_READER)
	EvidenceOnly     = uint8(bpf.SocketPlanEvidenceEVIDENCE_ONLY)
	EvidenceSole     = uint8(bpf.SocketPlanEvidenceEVIDENCE_SOLE)
	EvidenceCounted  = uint8(bpf.SocketPlanEvidenceEVIDENCE_COUNTED)
	EvidenceClean    = uint8(bpf.SocketPlanEvidenceEVIDENCE_CLEAN)
)

// Kind is the kind of a message from the kernel.
type Kind uint16

// The kinds. A Final record follows a Tentative record of the same request. After an Open
// record the connection's Read, Write and Close events follow. A Call is an exchange that
// a server started itself. With MarkSoFar it may not be finished: it can come again with
// more of its response, and then has MarkReported. UnderWay records come only at the end
// of Run: they are requests that were in progress then.
const (
	Final     = Kind(bpf.SocketPlanKindKIND_FINAL)
	Tentative = Kind(bpf.SocketPlanKindKIND_TENTATIVE)
	Opened    = Kind(bpf.SocketPlanKindKIND_OPEN)
	Unknown   = Kind(bpf.SocketPlanKindKIND_UNKNOWN)
	Read      = Kind(bpf.SocketPlanKindKIND_READ)
	Write     = Kind(bpf.SocketPlanKindKIND_WRITE)
	Close     = Kind(bpf.SocketPlanKindKIND_CLOSE)
	Call      = Kind(bpf.SocketPlanKindKIND_CALL)
	Abandoned = Kind(bpf.SocketPlanKindKIND_ABANDONED)
	UnderWay  = Kind(bpf.SocketPlanKindKIND_UNDER_WAY)

	KindProcess   = Kind(bpf.SocketPlanKindKIND_PROCESS)
	KindWithdrawn = Kind(bpf.SocketPlanKindKIND_WITHDRAWN)
)

var kindNames = map[Kind]string{
	Final: "final", Tentative: "tentative", Opened: "opened", Unknown: "unknown", Read: "read", Write: "write", Close: "close",
	Call: "call", Abandoned: "abandoned", UnderWay: "under_way", KindProcess: "process", KindWithdrawn: "withdrawn",
}

func (k Kind) String() string { return kindNames[k] }

// The reasons of Abandoned records.
const (
	AbandonedUnread  = Reason(bpf.SocketPlanAbandonedABANDONED_UNREAD)
	AbandonedBacklog = Reason(bpf.SocketPlanAbandonedABANDONED_BACKLOG)
	AbandonedReset   = Reason(bpf.SocketPlanAbandonedABANDONED_RESET)
)

// Reason is why a connection is ignored.
type Reason uint16

// The reasons of Unknown records.
const (
	ReasonBytes       = Reason(bpf.SocketPlanReasonREASON_BYTES)
	ReasonServerFirst = Reason(bpf.SocketPlanReasonREASON_SERVER_FIRST)
	ReasonNoBytes     = Reason(bpf.SocketPlanReasonREASON_NO_BYTES)
)

// bytes returns the n bytes that follow the fixed part of r from offset at on. decode has
// made sure that they exist.
func (r Record) bytes(at, n int) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(r.record), recordSize+at)), n)
}

// Name returns the unix socket's name: a path, or an abstract name that starts with a
// zero byte. It is empty for TCP. In a record with MarkProxied it ends with a header of
// the PROXY protocol.
func (r Record) Name() []byte { return r.bytes(0, int(r.NameLen)) }

// RequestHead returns the start of the request, as far as it was captured. For a call
// that is not HTTP that is at most its first 64 bytes.
func (r Record) RequestHead() []byte { return r.bytes(int(r.NameLen), int(r.ReqLen)) }

// TraceParent returns the request's traceparent if its head is longer than what was
// captured. RequestHead may have it too.
func (r Record) TraceParent() []byte {
	return r.bytes(int(r.NameLen)+int(r.ReqLen), int(r.TraceLen))
}

// ResponseHead returns the start of the response while its head is incomplete. After that
// OutHead is the length of the head and Out.Status the status.
func (r Record) ResponseHead() []byte {
	return r.bytes(int(r.NameLen)+int(r.ReqLen)+int(r.TraceLen), int(r.RespLen))
}

// Size returns the length of the record in bytes.
func (r Record) Size() int {
	return recordSize + int(r.NameLen) + int(r.ReqLen) + int(r.TraceLen) + int(r.RespLen)
}

// End is how the end of a message is known.
type End uint8

// The results of RequestEnd and ResponseEnd.
const (
	EndUnknown End = iota // the bytes that were seen do not show it
	EndSeen               // the message is complete
	EndOpen               // more of it is to come
	EndClose              // it ends with the connection
)

// RequestEnd returns how far the request has got, by its framing.
func (r Record) RequestEnd() End { return EndOf(r.In.Place) }

// ResponseEnd returns how far the response has got, by its framing.
func (r Record) ResponseEnd() End { return EndOf(r.Out.Place) }

// SetResponseEnd sets a record's fields to those of a response with that end. It is for
// tests of code that takes records.
func SetResponseEnd(f *RecordFields, e End) {
	f.Out.Place = uint8(map[End]Place{
		EndUnknown: PlaceLost,
		EndSeen:    PlaceEnd,
		EndOpen:    PlaceLength,
		EndClose:   PlaceClose,
	}[e])
}

func EndOf(place uint8) End {
	switch Place(place) {
	case PlaceLost:
		return EndUnknown
	case PlaceEnd:
		return EndSeen
	case PlaceClose:
		return EndClose
	}
	return EndOpen
}

// Clone copies the record into buf, which grows as needed, and returns both.
// The copy is valid as long as buf is not used for anything else.
func (r Record) Clone(buf []byte) (Record, []byte) {
	buf = append(buf[:0], r.Raw()...)
	clone, _ := DecodeRecord(buf)
	return clone, buf
}

// Raw returns the record as the kernel wrote it.
func (r Record) Raw() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(r.record)), r.Size()) }

// Fields returns a copy of the fixed part.
func (r Record) Fields() RecordFields { return *r.record }

// IsUnix reports whether the connection is on a unix socket.
func (r Record) IsUnix() bool { return r.Family == unix.AF_UNIX }

// Command returns the command name of the thread that read the request.
func (r Record) Command() *[16]byte { return (*[16]byte)(unsafe.Pointer(&r.record.Comm)) }

// EventKind returns what happened.
func (e Event) EventKind() Kind { return Kind(e.event.Kind) }

// Raw returns the event as the kernel wrote it.
func (e Event) Raw() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(e.event)), EventSize+int(e.DataLen))
}

// Fields returns a copy of the fixed part.
func (e Event) Fields() EventFields { return *e.event }

// Bytes returns the first of the bytes read or written, at most 8 KiB.
func (e Event) Bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(e.event), EventSize)), int(e.DataLen))
}

// Piece says that the bytes of a read from an offset on arrived at a different time than
// the bytes before. Zero is a time that was not seen.
type Piece struct {
	Offset  uint64
	Arrived uint64
}

// Pieces returns the pieces of a read, without that of the first bytes. If the kernel
// could not separate them, only the time of the first byte is known.
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

// Command returns the command name of the thread.
func (e Event) Command() *[16]byte { return (*[16]byte)(unsafe.Pointer(&e.event.Comm)) }

// DecodeRecord views a message as a record. ok is false if the message is cut short.
func DecodeRecord(raw []byte) (Record, bool) {
	if len(raw) < recordSize {
		return Record{}, false
	}
	r := Record{(*record)(unsafe.Pointer(unsafe.SliceData(raw)))}
	return r, len(raw) >= r.Size()
}

func DecodeEvent(raw []byte) (Event, bool) {
	if len(raw) < EventSize {
		return Event{}, false
	}
	e := Event{(*event)(unsafe.Pointer(unsafe.SliceData(raw)))}
	return e, len(raw) >= EventSize+int(e.DataLen)
}

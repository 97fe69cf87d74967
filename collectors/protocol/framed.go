package protocol

import "lapwing/collectors/request"

// Framed is a request, or a call, that the kernel framed by itself, and how far it
// is.
type Framed struct {
	Request *request.Request // its stamps, flags and parts so far; nil for a Decoder

	Head        []byte // the first of the bytes of the request
	HeadLen     int    // how many are its head; 0 while that is not whole
	Read        uint64 // how many were read
	TraceParent []byte // where that comes after Head
	In          Place

	ResponseHead    []byte // the first of the bytes of its response, while its head is not whole
	ResponseHeadLen int    // likewise
	Written         uint64 // how many were written
	Out             Place
	Status          int // once its head is whole
}

// Place is where a direction of a connection was when somebody else framed it.
type Place struct {
	In     PlaceIn
	Left   uint64 // bytes that the body, or the chunk, still has; in the line of a chunk's size, the size so far
	Digits int    // of that size, so far
}

// PlaceIn is the part of a message that a Place is in.
type PlaceIn uint8

// The parts. In a head, or where nothing is known, the bytes at hand tell.
const (
	InLine PlaceIn = iota // the first of the head, or before it
	InHead
	InLength
	InChunkSize
	InChunkExtension
	InChunk
	InChunkEnd
	InTrailer
	InTrailerLine
	InRest // of a body that ends with the connection
	InLost
	InNothing // the message is complete
)

// Decoder reads what the kernel framed. It keeps what it read last: it is for one
// goroutine, and one request at a time.
type Decoder interface {
	// Request says in r what was asked and answered. What it adds is a view into f,
	// valid until the next call. If f is no request of the protocol, it says what
	// it is instead.
	Request(r *request.Request, f *Framed) (instead string)
	// Call says in c what was asked and answered, in memory of its own. It reports
	// whether f is of the protocol.
	Call(c *request.Call, f *Framed) bool
	// Resume returns the pairer of a connection that the kernel framed so far.
	Resume(Options) Resumer
}

// Resumer is a Pairer that can go on in the middle of a request.
type Resumer interface {
	Pairer
	// Resume takes in a request that was under way when the connection began to
	// report each read and write. It comes before the first event, the oldest
	// request first.
	Resume(*Framed)
}

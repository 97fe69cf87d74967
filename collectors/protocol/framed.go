package protocol

import "lapwing/collectors/request"

// Framed is a request or a call that the kernel framed by itself, with its progress
// so far.
type Framed struct {
	Request *request.Request // its stamps, flags and parts so far; nil for a Decoder

	Head        []byte // the first bytes of the request
	HeadLen     int    // length of its head in bytes; 0 while the head is not complete
	Read        uint64 // bytes read so far
	TraceParent []byte // set if it comes after the bytes in Head
	In          Place

	ResponseHead    []byte // the first bytes of the response, while its head is not complete
	ResponseHeadLen int    // length of its head in bytes; 0 while the head is not complete
	Written         uint64 // bytes written so far
	Out             Place
	Status          int // known when the response head is complete
}

// Place is where the kernel was in one direction of a connection when it stopped
// framing it.
type Place struct {
	In     PlaceIn
	Left   uint64 // bytes that remain of the body or the chunk; in the line of a chunk's size, the size so far
	Digits int    // digits of that size so far
}

// PlaceIn is the part of a message that a Place is in.
type PlaceIn uint8

// The parts. In a head, or if nothing is known, the bytes at hand decide.
const (
	InLine PlaceIn = iota // in the first line of the head, or before it
	InHead
	InLength
	InChunkSize
	InChunkExtension
	InChunk
	InChunkEnd
	InTrailer
	InTrailerLine
	InRest // in a body that ends with the connection
	InLost
	InNothing // the message is complete
)

// Decoder parses what the kernel framed. It reuses its memory: it is for one
// goroutine, and for one request at a time.
type Decoder interface {
	// Request sets in r what was asked and answered. What it sets is a view into f
	// and valid until the next call. If f is not a request of the protocol, instead
	// says what it is.
	Request(r *request.Request, f *Framed) (instead string)
	// Call sets in c what was asked and answered, with memory of its own. It
	// reports whether f is of the protocol.
	Call(c *request.Call, f *Framed) bool
	// Resume returns the pairer of a connection that the kernel has framed so far.
	Resume(Options) Resumer
}

// Resumer is a Pairer that can continue in the middle of a request.
type Resumer interface {
	Pairer
	// Resume takes a request that was in progress when the connection started to
	// report each read and write. It is called before the first event, with the
	// oldest request first.
	Resume(*Framed)
}

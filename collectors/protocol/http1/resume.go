package http1

import (
	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

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
	InHead PlaceIn = iota
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

func (p Place) body() body {
	switch p.In {
	case InLength:
		return body{kind: bodyLength, left: p.Left}
	case InRest:
		return body{kind: bodyToClose}
	case InChunkSize, InChunkExtension, InChunk, InChunkEnd, InTrailer, InTrailerLine:
		return body{kind: bodyChunked, chunks: protocol.ResumeChunks(int(p.In-InChunkSize), p.Left, p.Digits)}
	}
	return body{kind: bodyLost}
}

// Progress is a request that was under way when the connection began to report
// each read and write.
type Progress struct {
	Request     request.Request // its stamps, flags and parts so far
	Head        []byte          // the first of the bytes read of it
	Read        uint64          // how many were read
	TraceParent []byte          // where that comes after Head
	In          Place

	ResponseHead    []byte // the first of the bytes of its response, while its head is not whole
	Written         uint64 // how many were written
	Out             Place
	Status          int // once its head is whole
	ResponseHeadLen int
}

// Resume takes in a request that was under way, like Seed, whose place in both
// directions is known. It does not need the bytes before that.
func (p *Pairer) Resume(s *Progress) {
	if p.closed || p.tunnel {
		return
	}
	if s.In.In == InHead {
		p.Seed(s.Request, s.Head, s.Read, s.ResponseHead, s.Written)
		return
	}
	p.resumeRead(s)
	if s.Written > 0 {
		p.resumeWrite(s)
	}
}

func (p *Pairer) resumeRead(s *Progress) {
	rd := readingOfSeed(&s.Request, s.Head, s.Read)
	ParseRequest(s.Head, &p.req)
	if len(s.TraceParent) > 0 {
		p.req.TraceParent = s.TraceParent
	}
	p.in.reset()
	p.in.place = inHead
	p.takeIn(&rd, rd.N)
	p.describe(p.in.cur, &p.req)
	if p.req.LineCut {
		p.markCut(p.in.cur)
	}
	if s.In.In == InNothing {
		p.endRequest(&rd)
		return
	}
	p.in.place, p.in.body = inBody, s.In.body()
	p.in.waits = p.req.Expect100 && s.Read <= uint64(len(s.Head)) && s.Request.Flags&request.Continued == 0
	if p.in.lost() {
		p.touchLost(&rd)
	}
}

func (p *Pairer) resumeWrite(s *Progress) {
	w := writingOfSeed(&s.Request, s.ResponseHead, s.Written)
	if s.Out.In == InHead {
		p.write(&w)
		return
	}
	p.writes++
	p.resp = ResponseHead{Status: s.Status, Minor: 1, ContentLength: noLength, HeadLen: s.ResponseHeadLen}
	p.out.place = inHead
	p.putOut(&w, w.N)
	p.describeResponse()
	if s.Out.In == InNothing {
		p.finish()
		return
	}
	p.out.place, p.out.body = inBody, s.Out.body()
}

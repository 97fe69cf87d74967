package http1

import (
	"lapwing/collectors/protocol"
	"lapwing/collectors/request"
)

func bodyAt(p protocol.Place) body {
	switch p.In {
	case protocol.InLength:
		return body{kind: bodyLength, left: p.Left}
	case protocol.InRest:
		return body{kind: bodyToClose}
	case protocol.InChunkSize, protocol.InChunkExtension, protocol.InChunk, protocol.InChunkEnd, protocol.InTrailer, protocol.InTrailerLine:
		return body{kind: bodyChunked, chunks: protocol.ResumeChunks(int(p.In-protocol.InChunkSize), p.Left, p.Digits)}
	}
	return body{kind: bodyLost}
}

// Resume implements protocol.Resumer. It is like Seed, but for a request whose
// place in both directions is known, and it does not need the bytes before that
// place.
func (p *Pairer) Resume(s *protocol.Framed) {
	if p.closed || p.tunnel {
		return
	}
	if s.In.In <= protocol.InHead {
		p.Seed(*s.Request, s.Head, s.Read, s.ResponseHead, s.Written)
		return
	}
	p.resumeRead(s)
	if s.Written > 0 {
		p.resumeWrite(s)
	}
}

func (p *Pairer) resumeRead(s *protocol.Framed) {
	rd := readingOfSeed(s.Request, s.Head, s.Read)
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
	if s.In.In == protocol.InNothing {
		p.endRequest(&rd)
		return
	}
	p.in.place, p.in.body = inBody, bodyAt(s.In)
	p.in.waits = p.req.Expect100 && s.Read <= uint64(len(s.Head)) && s.Request.Flags&request.Continued == 0
	if p.in.lost() {
		p.touchLost(&rd)
	}
}

func (p *Pairer) resumeWrite(s *protocol.Framed) {
	w := writingOfSeed(s.Request, s.ResponseHead, s.Written)
	if s.Out.In <= protocol.InHead {
		p.write(&w)
		return
	}
	p.writes++
	p.resp = ResponseHead{Status: s.Status, Minor: 1, ContentLength: noLength, HeadLen: s.ResponseHeadLen}
	p.out.place = inHead
	p.putOut(&w, w.N)
	p.describeResponse()
	if s.Out.In == protocol.InNothing {
		p.finish()
		return
	}
	p.out.place, p.out.body = inBody, bodyAt(s.Out)
}

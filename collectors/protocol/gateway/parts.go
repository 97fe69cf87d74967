package gateway

import "lapwing/collectors/protocol"

// maxPrefix is the maximum length of what comes before the variables, in bytes.
const maxPrefix = 16

// part is the part of a request that comes next.
type part uint8

const (
	inPrefix part = iota
	inVars
	inSuffix
	inBody
	atEnd
)

// take takes bytes of the next part off s.
func (p *Single) take(s *protocol.Stretch) {
	switch p.part {
	case inPrefix:
		p.takePrefix(s)
	case inVars:
		part := s.Cut(p.left)
		p.left -= part.N
		p.decoder.Take(part, &p.x.Vars)
		p.endVars()
	case inSuffix:
		p.takeSuffix(s)
	case inBody:
		p.takeBody(s)
	case atEnd:
		s.Skip(s.N)
	}
}

func (p *Single) takePrefix(s *protocol.Stretch) {
	had := len(p.prefix)
	p.prefix = append(p.prefix, s.Data[:min(len(s.Data), maxPrefix-had)]...)
	used, size, match := p.format.Prefix(p.prefix)
	switch {
	case match == protocol.Yes:
		s.Skip(uint64(used - had))
		p.part, p.left = inVars, size
		p.endVars()
	case match == protocol.No || s.Missing() > 0 || len(p.prefix) == maxPrefix:
		p.reject("malformed")
	default:
		s.Skip(s.N)
	}
}

// endVars continues after the variables, once they are complete.
func (p *Single) endVars() {
	if p.left > 0 {
		return
	}
	if !p.decoder.End(&p.x.Vars) || !p.x.Describe() {
		p.reject("malformed")
		return
	}
	p.part = inSuffix
	if p.format.Suffix == 0 {
		p.beginBody()
	}
}

func (p *Single) takeSuffix(s *protocol.Stretch) {
	if len(s.Data) > 0 && s.Data[0] != p.format.Suffix {
		p.reject("malformed")
		return
	}
	s.Skip(1)
	p.beginBody()
}

func (p *Single) beginBody() {
	p.part = inBody
	p.left, p.known = p.x.Vars.Length()
	if p.known && p.left == 0 {
		p.part = atEnd
	}
}

// takeBody follows the body. If its length is not known, the request ends when the
// response starts.
func (p *Single) takeBody(s *protocol.Stretch) {
	switch {
	case p.format.Chunked:
		done, ok := p.chunks.Take(s)
		if done || !ok || p.known && p.chunks.Content >= p.left {
			p.part = atEnd
		}
		s.Skip(s.N)
	case p.known:
		if p.left -= s.Skip(p.left); p.left == 0 {
			p.part = atEnd
		}
	default:
		s.Skip(s.N)
	}
}

package gateway

import (
	"bytes"

	"lapwing/collectors/protocol"
)

// Decoder decodes one encoding of the variables, in pieces of any length.
type Decoder interface {
	// Take decodes all of s.
	Take(s protocol.Stretch, v *Vars)
	// End is called after the last piece. It reports whether the variables ended at
	// the end of one of them.
	End(v *Vars) bool
}

// pairState is the place in a list of pairs.
type pairState uint8

const (
	nameLength pairState = iota
	valueLength
	inName
	inValue
	noPair // the place is lost
)

// Pairs decodes names and values with length prefixes. Either each name and each
// value has its length before it, or both lengths come before the name.
type Pairs struct {
	// Length parses a length. used is 0 if b is too short.
	Length func(b []byte) (n uint64, used int)
	// Ahead says that both lengths come before the name.
	Ahead bool

	state       pairState
	digits      [4]byte // of a length so far
	have        int
	name, value uint64 // bytes that remain
}

var _ Decoder = (*Pairs)(nil)

// Take implements Decoder.
func (p *Pairs) Take(s protocol.Stretch, v *Vars) {
	for s.N > 0 && p.state != noPair {
		switch p.state {
		case nameLength, valueLength:
			p.takeLength(&s, v)
		case inName:
			p.takeName(&s, v)
		case inValue:
			p.takeValue(&s, v)
		}
	}
}

// takeLength takes one byte of a length.
func (p *Pairs) takeLength(s *protocol.Stretch, v *Vars) {
	if len(s.Data) == 0 {
		p.state, v.Cut = noPair, true
		return
	}
	p.digits[p.have] = s.Data[0]
	p.have++
	s.Skip(1)
	n, used := p.Length(p.digits[:p.have])
	if used == 0 {
		return
	}
	p.have = 0
	if p.state == nameLength {
		p.name = n
		p.state = inName
		if p.Ahead {
			p.state = valueLength
			return
		}
	} else {
		p.value = n
		p.state = inValue
		if p.Ahead {
			p.state = inName
		} else {
			v.beginValue()
		}
	}
	p.skipEmpty(v)
}

// skipEmpty continues after a name or a value that is complete.
func (p *Pairs) skipEmpty(v *Vars) {
	if p.state == inName && p.name == 0 {
		p.state = valueLength
		if p.Ahead {
			v.beginValue()
			p.state = inValue
		}
	}
	if p.state == inValue && p.value == 0 {
		p.state = nameLength
	}
}

func (p *Pairs) takeName(s *protocol.Stretch, v *Vars) {
	part := s.Cut(p.name)
	v.addName(part.Data)
	if part.Missing() > 0 {
		v.missName()
	}
	p.name -= part.N
	p.skipEmpty(v)
}

func (p *Pairs) takeValue(s *protocol.Stretch, v *Vars) {
	part := s.Cut(p.value)
	v.addValue(part.Data)
	if part.Missing() > 0 {
		v.missValue()
	}
	p.value -= part.N
	p.skipEmpty(v)
}

// End implements Decoder.
func (p *Pairs) End(v *Vars) bool {
	return p.state == noPair || p.state == nameLength && p.have == 0
}

// Strings decodes names and values that each end in a zero byte.
type Strings struct {
	inValue bool
	lost    bool
	begun   bool // a string has started and not ended
}

var _ Decoder = (*Strings)(nil)

// Take implements Decoder.
func (d *Strings) Take(s protocol.Stretch, v *Vars) {
	for data := s.Data; len(data) > 0 && !d.lost; {
		end := bytes.IndexByte(data, 0)
		part := data
		if end >= 0 {
			part = data[:end]
		}
		if d.inValue {
			v.addValue(part)
		} else {
			v.addName(part)
		}
		d.begun = end < 0
		if end < 0 {
			break
		}
		data = data[end+1:]
		if d.inValue = !d.inValue; d.inValue {
			v.beginValue()
		}
	}
	if s.Missing() > 0 {
		d.lost, v.Cut = true, true
	}
}

// End implements Decoder.
func (d *Strings) End(*Vars) bool { return d.lost || !d.inValue && !d.begun }

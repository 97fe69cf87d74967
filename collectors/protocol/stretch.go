package protocol

// Stretch is a sequence of bytes on the wire, of which a prefix is at hand.
type Stretch struct {
	Data []byte
	N    uint64 // bytes on the wire, at least len(Data)
}

// NewStretch returns a Stretch of n bytes, which starts with data.
func NewStretch(data []byte, n uint64) Stretch {
	return Stretch{Data: data[:min(uint64(len(data)), n)], N: n}
}

// Skip drops the next n bytes, or all if there are fewer, and returns how many it
// dropped.
func (s *Stretch) Skip(n uint64) uint64 {
	n = min(n, s.N)
	s.Data = s.Data[min(n, uint64(len(s.Data))):]
	s.N -= n
	return n
}

// Cut removes the next n bytes, or all if there are fewer, and returns them as a
// Stretch.
func (s *Stretch) Cut(n uint64) Stretch {
	n = min(n, s.N)
	cut := NewStretch(s.Data, n)
	s.Skip(n)
	return cut
}

// Missing returns how many bytes of the stretch are not at hand.
func (s *Stretch) Missing() uint64 { return s.N - uint64(len(s.Data)) }

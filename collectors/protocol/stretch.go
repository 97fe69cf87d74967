package protocol

// Stretch is a run of bytes on the wire, of which a prefix is at hand.
type Stretch struct {
	Data []byte
	N    uint64 // bytes on the wire, at least len(Data)
}

// NewStretch returns n bytes of which data are the first.
func NewStretch(data []byte, n uint64) Stretch {
	return Stretch{Data: data[:min(uint64(len(data)), n)], N: n}
}

// Skip drops the next n bytes, or all there are, and returns how many.
func (s *Stretch) Skip(n uint64) uint64 {
	n = min(n, s.N)
	s.Data = s.Data[min(n, uint64(len(s.Data))):]
	s.N -= n
	return n
}

// Cut drops the next n bytes, or all there are, and returns them as a stretch
// of their own.
func (s *Stretch) Cut(n uint64) Stretch {
	n = min(n, s.N)
	cut := NewStretch(s.Data, n)
	s.Skip(n)
	return cut
}

// Missing is how many bytes were on the wire that are not at hand.
func (s *Stretch) Missing() uint64 { return s.N - uint64(len(s.Data)) }

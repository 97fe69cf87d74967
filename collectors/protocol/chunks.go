package protocol

import "bytes"

// chunkState is the place in a chunked body.
type chunkState uint8

const (
	chunkSize      chunkState = iota // in the digits of a chunk's size
	chunkExtension                   // after the size, up to the line break
	chunkData                        // in the chunk
	chunkDataEnd                     // in the line break after the chunk
	trailerStart                     // at the start of a line after the last chunk
	trailerLine                      // in a trailer line
)

// maxSizeDigits limits the hexadecimal size of a chunk, so that it fits into left.
const maxSizeDigits = 15

// Chunks finds the end of a chunked body of HTTP/1.
type Chunks struct {
	chunk  chunkState
	digits int    // of the chunk size read so far
	left   uint64 // bytes that remain of the chunk

	// Content counts the bytes of the body without the chunk framing.
	Content uint64
}

// ResumeChunks returns Chunks that continue where the kernel stopped framing. place
// is the part of the body: in the digits of a size (0), after them (1), in a chunk
// (2), in the line break after it (3), at the start of a trailer line (4) or in one
// (5). left is the number of bytes that remain of the chunk, or the size read so
// far, and digits the number of its digits.
func ResumeChunks(place int, left uint64, digits int) Chunks {
	return Chunks{chunk: chunkState(place), left: left, digits: digits}
}

// Take takes the body's bytes off s and reports whether the body has ended. ok is
// false if the place in the body is lost.
func (b *Chunks) Take(s *Stretch) (done, ok bool) {
	for s.N > 0 {
		if b.chunk == chunkData {
			// Inside a chunk, only the number of bytes matters. They need not be at
			// hand.
			n := s.Skip(b.left)
			b.left -= n
			b.Content += n
			if b.left == 0 {
				b.chunk = chunkDataEnd
			}
			continue
		}
		if len(s.Data) == 0 {
			return false, false
		}
		if b.chunk == chunkExtension || b.chunk == trailerLine {
			b.toLineEnd(s)
			continue
		}
		c := s.Data[0]
		s.Skip(1)
		if b.chunk == trailerStart && c == '\n' {
			return true, true
		}
		if !b.step(c) {
			return false, false
		}
	}
	return false, true
}

// toLineEnd skips the rest of a line whose text does not matter.
func (b *Chunks) toLineEnd(s *Stretch) {
	i := bytes.IndexByte(s.Data, '\n')
	if i < 0 {
		s.Skip(uint64(len(s.Data)))
		return
	}
	s.Skip(uint64(i) + 1)
	b.endLine()
}

// endLine continues after the line of a chunk's size, or after a trailer line.
func (b *Chunks) endLine() {
	switch {
	case b.chunk == trailerLine || b.left == 0:
		b.chunk = trailerStart
	default:
		b.chunk = chunkData
	}
	b.digits = 0
}

// step takes one byte of the chunk framing. It returns false if the byte is not
// allowed there.
func (b *Chunks) step(c byte) bool {
	switch b.chunk {
	case chunkSize:
		return b.sizeByte(c)
	case chunkDataEnd:
		if c == '\n' {
			b.chunk = chunkSize
		}
		return c == '\n' || c == '\r'
	case trailerStart:
		if c != '\r' {
			b.chunk = trailerLine
		}
	}
	return true
}

func (b *Chunks) sizeByte(c byte) bool {
	if v, ok := hexDigit(c); ok && b.digits < maxSizeDigits {
		b.left = b.left<<4 | v
		b.digits++
		return true
	}
	if b.digits == 0 {
		return false
	}
	switch c {
	case '\n':
		b.endLine()
	case '\r', ';', ' ', '\t':
		b.chunk = chunkExtension
	default:
		return false
	}
	return true
}

func hexDigit(c byte) (uint64, bool) {
	switch {
	case '0' <= c && c <= '9':
		return uint64(c - '0'), true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return uint64(c|0x20-'a') + 10, true
	}
	return 0, false
}

package http1

import "bytes"

// stretch is a run of bytes on the wire, of which a prefix is at hand.
type stretch struct {
	data []byte
	n    uint64 // bytes on the wire, at least len(data)
}

func newStretch(data []byte, n uint64) stretch {
	return stretch{data: data[:min(uint64(len(data)), n)], n: n}
}

// skip drops the next n bytes, or all there are, and returns how many.
func (s *stretch) skip(n uint64) uint64 {
	n = min(n, s.n)
	s.data = s.data[min(n, uint64(len(s.data))):]
	s.n -= n
	return n
}

// missing is how many bytes were on the wire that are not at hand.
func (s *stretch) missing() uint64 { return s.n - uint64(len(s.data)) }

// bodyKind is the way in which the end of a body is told.
type bodyKind uint8

const (
	bodyNone    bodyKind = iota
	bodyLength           // by a number of bytes
	bodyChunked          // by an empty chunk
	bodyToClose          // by the end of the connection
	bodyLost             // not any more: the place in the body is not known
)

// chunkState is the place in a chunked body.
type chunkState uint8

const (
	chunkSize      chunkState = iota // in the digits of a chunk's size
	chunkExtension                   // behind them, up to the line break
	chunkData                        // in the chunk
	chunkDataEnd                     // in the line break behind the chunk
	trailerStart                     // at the begin of a line behind the last chunk
	trailerLine                      // in such a line
)

// maxSizeDigits bounds the hexadecimal size of a chunk, so that it fits.
const maxSizeDigits = 15

// body finds the end of one message body in the bytes of a direction.
type body struct {
	kind   bodyKind
	chunk  chunkState
	digits int    // of the chunk size, so far
	left   uint64 // bytes that the body, or the chunk, still has
}

// requestBody is the body that a request head announces.
func requestBody(h *RequestHead) body {
	switch {
	case h.HeadLen == 0 || h.BadLength:
		return body{kind: bodyLost}
	case h.Chunked:
		return body{kind: bodyChunked}
	case h.ContentLength > 0:
		return body{kind: bodyLength, left: uint64(h.ContentLength)}
	}
	return body{}
}

// responseBody is the body that a response head announces.
func responseBody(method string, h *ResponseHead) body {
	switch {
	case h.HeadLen == 0:
		return body{kind: bodyLost}
	case bodyless(method, h.Status):
		return body{}
	case h.Chunked:
		return body{kind: bodyChunked}
	case h.OtherCoding:
		return body{kind: bodyToClose}
	case h.BadLength:
		return body{kind: bodyLost}
	case h.ContentLength == 0:
		return body{}
	case h.ContentLength > 0:
		return body{kind: bodyLength, left: uint64(h.ContentLength)}
	}
	return body{kind: bodyToClose}
}

// take takes the body's bytes off s and reports whether the body is at its
// end. It turns the kind into bodyLost when the end cannot be told any more.
func (b *body) take(s *stretch) (done bool) {
	switch b.kind {
	case bodyNone:
		return true
	case bodyLength:
		b.left -= s.skip(b.left)
		return b.left == 0
	case bodyChunked:
		return b.takeChunks(s)
	}
	s.skip(s.n)
	return false
}

func (b *body) takeChunks(s *stretch) (done bool) {
	for s.n > 0 {
		if b.chunk == chunkData {
			// Bytes that are not at hand do no harm inside a chunk.
			b.left -= s.skip(b.left)
			if b.left == 0 {
				b.chunk = chunkDataEnd
			}
			continue
		}
		if len(s.data) == 0 {
			return b.lose(s)
		}
		if b.chunk == chunkExtension || b.chunk == trailerLine {
			b.toLineEnd(s)
			continue
		}
		c := s.data[0]
		s.skip(1)
		if b.chunk == trailerStart && c == '\n' {
			return true
		}
		if !b.step(c) {
			return b.lose(s)
		}
	}
	return false
}

// lose gives the body's end up, and the rest of s with it.
func (b *body) lose(s *stretch) (done bool) {
	*b = body{kind: bodyLost}
	s.skip(s.n)
	return false
}

// toLineEnd skips the rest of a line whose text does not matter.
func (b *body) toLineEnd(s *stretch) {
	i := bytes.IndexByte(s.data, '\n')
	if i < 0 {
		s.skip(uint64(len(s.data)))
		return
	}
	s.skip(uint64(i) + 1)
	b.endLine()
}

// endLine goes on behind the line of a chunk's size, or of a trailer.
func (b *body) endLine() {
	switch {
	case b.chunk == trailerLine || b.left == 0:
		b.chunk = trailerStart
	default:
		b.chunk = chunkData
	}
	b.digits = 0
}

// step takes one byte of chunked framing in. It returns false when the byte
// cannot be there.
func (b *body) step(c byte) bool {
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

func (b *body) sizeByte(c byte) bool {
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

package http1

import "lapwing/collectors/protocol"

// bodyKind is the way in which the end of a body is told.
type bodyKind uint8

const (
	bodyNone    bodyKind = iota
	bodyLength           // by a number of bytes
	bodyChunked          // by an empty chunk
	bodyToClose          // by the end of the connection
	bodyLost             // not any more: the place in the body is not known
)

// body finds the end of one message body in the bytes of a direction.
type body struct {
	kind   bodyKind
	left   uint64 // bytes that the body still has
	chunks protocol.Chunks
}

// requestBody is the body that a request head announces.
func requestBody(h *RequestHead) body {
	switch {
	case h.HeadLen == 0:
		return body{kind: bodyLost}
	case h.Chunked: // it wins over any length
		return body{kind: bodyChunked}
	case h.BadLength:
		return body{kind: bodyLost}
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
func (b *body) take(s *protocol.Stretch) (done bool) {
	switch b.kind {
	case bodyNone:
		return true
	case bodyLength:
		b.left -= s.Skip(b.left)
		return b.left == 0
	case bodyChunked:
		return b.takeChunks(s)
	}
	s.Skip(s.N)
	return false
}

// takeChunks follows the chunks as long as they can be followed.
func (b *body) takeChunks(s *protocol.Stretch) (done bool) {
	done, ok := b.chunks.Take(s)
	if !ok {
		return b.lose(s)
	}
	return done
}

// lose gives the body's end up, and the rest of s with it.
func (b *body) lose(s *protocol.Stretch) (done bool) {
	*b = body{kind: bodyLost}
	s.Skip(s.N)
	return false
}

package http1

import "lapwing/collectors/protocol"

// bodyKind says how the end of a body is found.
type bodyKind uint8

const (
	bodyNone    bodyKind = iota
	bodyLength           // after a number of bytes
	bodyChunked          // after an empty chunk
	bodyToClose          // at the end of the connection
	bodyLost             // not at all: the place in the body is lost
)

// body finds the end of one message body in the bytes of a direction.
type body struct {
	kind   bodyKind
	left   uint64 // bytes that remain of the body
	chunks protocol.Chunks
}

// requestBody returns the body that a request head announces.
func requestBody(h *RequestHead) body {
	switch {
	case h.HeadLen == 0:
		return body{kind: bodyLost}
	case h.Chunked: // takes precedence over a length
		return body{kind: bodyChunked}
	case h.BadLength:
		return body{kind: bodyLost}
	case h.ContentLength > 0:
		return body{kind: bodyLength, left: uint64(h.ContentLength)}
	}
	return body{}
}

// responseBody returns the body that a response head announces.
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

// take takes the body's bytes off s and reports whether the body has ended. It sets
// the kind to bodyLost if the end can no longer be found.
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

// takeChunks follows the chunks as far as possible.
func (b *body) takeChunks(s *protocol.Stretch) (done bool) {
	done, ok := b.chunks.Take(s)
	if !ok {
		return b.lose(s)
	}
	return done
}

// lose gives up the end of the body, and the rest of s.
func (b *body) lose(s *protocol.Stretch) (done bool) {
	*b = body{kind: bodyLost}
	s.Skip(s.N)
	return false
}

package httpio

import "bytes"

// MaxBody is the longest request body in bytes. A longer one gets a response
// with status 413.
const MaxBody = 1 << 30

// maxChunkLine limits a chunk-size line and a trailer line in bytes, including
// extensions.
const maxChunkLine = 4 << 10

// Body follows the framing of a request body in the bytes of a connection.
type Body struct {
	// Size counts the bytes of content seen so far, without framing.
	Size int64

	state bodyState
	left  int64 // bytes of content until the end of the body or chunk
}

type bodyState uint8

const (
	bodyDone bodyState = iota
	bodyLength
	chunkSize
	chunkData
	chunkEnd
	chunkTrailer
)

// Begin prepares for the body that the head announces.
func (b *Body) Begin(h *Head) error {
	*b = Body{}
	switch {
	case h.ContentLength > MaxBody:
		return tooLarge()
	case h.Chunked:
		b.state = chunkSize
	case h.ContentLength > 0:
		b.state, b.left = bodyLength, h.ContentLength
	}
	return nil
}

// Done reports whether the whole body was seen.
func (b *Body) Done() bool { return b.state == bodyDone }

// Next takes bytes from the start of p. It returns how many it used, and the
// content among them. It uses no bytes if it needs more of them.
func (b *Body) Next(p []byte) (used int, content []byte, err error) {
	if len(p) == 0 {
		return 0, nil, nil
	}
	switch b.state {
	case bodyLength, chunkData:
		n := int(min(b.left, int64(len(p))))
		return n, p[:n], b.content(int64(n))
	case chunkSize, chunkEnd, chunkTrailer:
		line, next, ok := cutLine(p, 0)
		if !ok && len(p) > maxChunkLine || len(line) > maxChunkLine {
			return 0, nil, bad("a line of the chunked body is too long")
		}
		if !ok {
			return 0, nil, nil
		}
		return next, nil, b.line(line)
	}
	return 0, nil, nil
}

func (b *Body) content(n int64) error {
	b.Size += n
	b.left -= n
	switch {
	case b.Size > MaxBody:
		return tooLarge()
	case b.left > 0:
	case b.state == chunkData:
		b.state = chunkEnd
	default:
		b.state = bodyDone
	}
	return nil
}

func (b *Body) line(line []byte) error {
	switch b.state {
	case chunkEnd:
		if len(line) > 0 {
			return bad("a chunk is longer than it says")
		}
		b.state = chunkSize
	case chunkTrailer:
		if len(line) == 0 {
			b.state = bodyDone
		}
	default:
		return b.size(line)
	}
	return nil
}

func (b *Body) size(line []byte) error {
	digits, _, _ := bytes.Cut(line, []byte{';'})
	n, ok := parseHex(bytes.Trim(digits, " \t"))
	switch {
	case !ok:
		return bad("a chunk size is not a hexadecimal number")
	case n == 0:
		b.state = chunkTrailer
	default:
		b.state, b.left = chunkData, n
	}
	return nil
}

func parseHex(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 8 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | int64(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			n = n<<4 | int64(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

func tooLarge() error {
	return &Error{Status: 413, Reason: "the request body is longer than 1 GiB"}
}

package http1

// noLength is the content length of a message without one.
const noLength = -1

// framing is what a head says about the end of its message and about the connection
// after it. RequestHead and ResponseHead both have one.
type framing struct {
	length    int64 // noLength if absent
	coded     bool  // there was a Transfer-Encoding
	chunked   bool  // the last transfer coding is chunked
	badLength bool  // Content-Length is not a number, or there are several that differ
	close     bool  // Connection: close
	keepAlive bool  // Connection: keep-alive
}

// field takes one field line, if it is about framing.
func (f *framing) field(line []byte) {
	switch line[0] | 0x20 {
	case 'c':
		switch {
		case isField(line, "content-length:"):
			f.contentLength(value(line, len("content-length:")))
		case isField(line, "connection:"):
			f.connection(value(line, len("connection:")))
		}
	case 't':
		if isField(line, "transfer-encoding:") {
			f.transferEncoding(value(line, len("transfer-encoding:")))
		}
	}
}

// contentLength takes a value. It may be a list, or occur again, if all numbers are
// the same.
func (f *framing) contentLength(list []byte) {
	for more := true; more; more = list != nil {
		var element []byte
		element, list = cutElement(list)
		n, ok := parseLength(element)
		if !ok || f.badLength || f.length != noLength && f.length != n {
			f.badLength, f.length = true, noLength
			return
		}
		f.length = n
	}
}

// parseLength parses a decimal number without a sign that fits an int64.
func parseLength(b []byte) (int64, bool) {
	const digits = 18 // cannot overflow; no client sends an exabyte
	for len(b) > 1 && b[0] == '0' {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > digits {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func (f *framing) connection(list []byte) {
	for list != nil {
		var option []byte
		option, list = cutElement(list)
		switch {
		case equalFold(option, "close"):
			f.close = true
		case equalFold(option, "keep-alive"):
			f.keepAlive = true
		}
	}
}

// transferEncoding takes a value. Only the very last coding counts.
func (f *framing) transferEncoding(list []byte) {
	f.coded = true
	for list != nil {
		var coding []byte
		coding, list = cutElement(list)
		if len(coding) > 0 {
			f.chunked = equalFold(coding, "chunked")
		}
	}
}

// persistent reports whether the connection stays open after a message of the given
// minor version.
func (f *framing) persistent(minor int) bool {
	return !f.close && (minor > 0 || f.keepAlive)
}

package console

import (
	"bytes"
	"strconv"

	"lapwing/collectors/request"
)

// appendCalls writes a line for each call of a request, below the request. A
// call whose other end is on this host has no line here: the request at the
// other end has its own.
func (l *lines) appendCalls(b []byte, r *request.Request) []byte {
	for _, c := range r.Calls {
		if !c.Shown {
			b = append(l.appendCall(b, r.Depth+1, c), '\n')
		}
	}
	return b
}

// appendCall writes the callee, the operation and the duration in the columns
// where requests have their method and path.
func (l *lines) appendCall(b []byte, depth int, c *request.Call) []byte {
	before := len(l.clock) + 1 + l.service + 1
	if l.pid > 0 {
		before += l.pid + 1
	}
	b = appendSpaces(b, before)
	if c.Status != 0 {
		b = l.appendUint(b, uint64(c.Status), statusCells)
	} else {
		b = appendSpaces(b, statusCells)
	}
	b = appendSpaces(append(b, ' '), l.durationCells()+1)
	width := l.request + l.bar + l.notes
	b, shift := appendDepth(b, depth, width)
	if c.Failed() {
		b = l.style(b, styleRed)
	}
	l.note = l.appendCalled(l.note[:0], c)
	b, _ = appendText(b, l.note, width-shift)
	return l.style(b, styleEnd)
}

// appendCalled writes a call: postgres 127.0.0.1:5432 453ms.
func (l *lines) appendCalled(b []byte, c *request.Call) []byte {
	name := c.Method
	if name == "" {
		name = c.Protocol
	}
	if name == "" {
		name = "call"
	}
	b = append(append(b, name...), ' ')
	b = c.Peer.Append(b)
	if len(c.Path) > 0 {
		b = append(append(b, ' '), c.Path...)
	}
	if d, ok := c.Duration(); ok {
		b = appendDuration(append(b, ' '), d, 3)
	} else {
		b = append(b, " end_unknown"...)
	}
	if c.Error != "" && c.Error != strconv.Itoa(c.Status) {
		b = append(append(b, ' '), c.Error...)
	}
	return b
}

// countRequests counts whole lines, except those of calls: only they start with
// a blank.
func countRequests(text []byte) (n uint64) {
	for len(text) > 0 {
		line, rest, whole := bytes.Cut(text, []byte{'\n'})
		if whole && (len(line) == 0 || line[0] != ' ') {
			n++
		}
		text = rest
	}
	return n
}

package request

import (
	"bytes"
	"hash/maphash"
	"net/netip"
)

// Clue is what the head of a request or of a call tells of which belongs to
// which: a proxy passes on most of what it read. Of the text only hashes are
// kept, of a bounded number of lines. A Clue does not change once it is made.
type Clue struct {
	Method    uint32
	Target    uint64     // with the query; of a long one, its beginning
	Forwarded netip.Addr // the last address in X-Forwarded-For
	lines     [clueLines]clueLine
	n         int
}

type clueLine struct{ name, value uint32 }

const (
	clueLines  = 12
	clueTarget = 160 // bytes of a target that count: all of it fits into what is captured
)

// clueSeed is of this run: nothing outside can aim at a collision.
var clueSeed = maphash.MakeSeed()

// ownLines are header lines that a proxy writes itself: they say nothing of
// what it read.
var ownLines = func() map[string]bool {
	own := make(map[string]bool)
	for _, name := range []string{
		"accept-encoding", "cache-control", "connection", "content-length", "expect", "forwarded", "host",
		"keep-alive", "max-forwards", "proxy-authorization", "proxy-connection", "surrogate-capability", "te",
		"traceparent", "tracestate", "trailer", "transfer-encoding", "upgrade", "via", "x-forwarded-host",
		"x-forwarded-port", "x-forwarded-proto", "x-forwarded-scheme", "x-forwarded-server", "x-real-ip", "x-varnish",
	} {
		own[name] = true
	}
	return own
}()

// NewClue takes the clue from the captured beginning of an HTTP/1 head. It is
// nil where not even the request line is there.
func NewClue(head []byte) *Clue {
	line, head, _ := bytes.Cut(head, crlf)
	method, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return nil
	}
	target, _, _ := bytes.Cut(rest, []byte(" "))
	if target = origin(target); len(target) == 0 {
		return nil
	}
	c := &Clue{
		Method: uint32(maphash.Bytes(clueSeed, method)),
		Target: maphash.Bytes(clueSeed, target[:min(len(target), clueTarget)]),
	}
	for c.n < clueLines {
		line, rest, whole := bytes.Cut(head, crlf)
		if !whole || len(line) == 0 {
			break
		}
		c.take(line)
		head = rest
	}
	return c
}

var crlf = []byte("\r\n")

// origin cuts scheme and host from a target, as a proxy does.
func origin(target []byte) []byte {
	if len(target) == 0 || target[0] == '/' {
		return target
	}
	_, after, ok := bytes.Cut(target, []byte("://"))
	if !ok {
		return target
	}
	if at := bytes.IndexByte(after, '/'); at >= 0 {
		return after[at:]
	}
	return []byte("/")
}

// take takes a header line into the clue.
func (c *Clue) take(line []byte) {
	name, value, ok := bytes.Cut(line, []byte(":"))
	var buf [32]byte
	if !ok || len(name) > len(buf) {
		return
	}
	low := lower(buf[:0], name)
	value = bytes.TrimSpace(value)
	switch {
	case string(low) == "x-forwarded-for":
		last := value[bytes.LastIndexByte(value, ',')+1:]
		if addr, err := netip.ParseAddr(string(bytes.TrimSpace(last))); err == nil {
			c.Forwarded = addr.Unmap()
		}
	case !ownLines[string(low)]:
		c.lines[c.n] = clueLine{uint32(maphash.Bytes(clueSeed, low)), uint32(maphash.Bytes(clueSeed, value))}
		c.n++
	}
}

func lower(to, name []byte) []byte {
	for _, b := range name {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		to = append(to, b)
	}
	return to
}

// Fit is how much a call's head tells of the request that it passes on.
type Fit uint8

// From nothing in common to the same request.
const (
	FitNone   Fit = iota
	FitLines      // header lines of the request, but another target
	FitTarget     // the same target and none of the request's header lines
	FitBoth
)

// Fits compares the clue of a call with that of a request, which came from
// peer. Lines that the proxy left out or added say nothing; one with another
// value says that it is of another request.
func (c *Clue) Fits(r *Clue, peer netip.Addr) Fit {
	if c == nil || r == nil || c.Method != r.Method {
		return FitNone
	}
	same, other := c.compare(r)
	if other || c.forwardsAnother(r, peer) {
		return FitNone
	}
	carried := same > 0 || r.n == 0
	switch target := c.Target == r.Target; {
	case target && carried:
		return FitBoth
	case target:
		return FitTarget
	case same > 1:
		return FitLines
	}
	return FitNone
}

// compare counts the lines that both have, and tells whether one of the same
// name has another value.
func (c *Clue) compare(r *Clue) (same int, other bool) {
	for _, line := range c.lines[:c.n] {
		named, equal := false, false
		for _, of := range r.lines[:r.n] {
			if of.name == line.name {
				named, equal = true, equal || of.value == line.value
			}
		}
		switch {
		case equal:
			same++
		case named:
			return same, true
		}
	}
	return same, false
}

// forwardsAnother tells whether the call names a client that is neither the
// request's own nor the one that the request itself named.
func (c *Clue) forwardsAnother(r *Clue, peer netip.Addr) bool {
	return c.Forwarded.IsValid() && peer.IsValid() && c.Forwarded != peer.Unmap() && c.Forwarded != r.Forwarded
}

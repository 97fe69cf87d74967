package request

import (
	"bytes"
	"hash/maphash"
	"net/netip"
)

// Clue is the part of a head that helps to join calls to requests: a proxy passes
// on most of what it read. It holds only hashes, of a limited number of lines. A
// Clue does not change after it was made.
type Clue struct {
	Method    uint32
	Target    uint64     // includes the query; for a long target, only its start
	Forwarded netip.Addr // the last address in X-Forwarded-For
	lines     [clueLines]clueLine
	n         int
}

type clueLine struct{ name, value uint32 }

const (
	clueLines  = 12
	clueTarget = 160 // bytes of a target that are compared; all of them fit into the captured head
)

// clueSeed differs in each run, so that a client cannot construct collisions.
var clueSeed = maphash.MakeSeed()

// ownLines are header lines that a proxy writes itself. They say nothing about the
// request that it read.
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

// NewClue returns the clue of an HTTP/1 head, of which head is the captured start.
// It returns nil if the request line does not even contain a target.
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

// origin removes scheme and host from a target, as a proxy does.
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

// take adds a header line to the clue.
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

// Fit says how well a call's head matches the head of a request.
type Fit uint8

// The degrees, from nothing in common to the same request.
const (
	FitNone   Fit = iota
	FitLines      // header lines of the request, but another target
	FitTarget     // the same target, but none of the request's header lines
	FitBoth
)

// Fits compares the clue of a call with the clue of a request that came from peer.
// A line that the proxy removed or added does not matter. A line with another value
// means that the call belongs to another request.
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

// compare counts the lines that are equal in both. other reports whether a line of
// the same name has another value.
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

// forwardsAnother reports whether the call names a client that is neither the
// request's peer nor the client that the request itself named.
func (c *Clue) forwardsAnother(r *Clue, peer netip.Addr) bool {
	return c.Forwarded.IsValid() && peer.IsValid() && c.Forwarded != peer.Unmap() && c.Forwarded != r.Forwarded
}

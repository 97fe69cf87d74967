package protocol

import "encoding/hex"

// Offsets of the parts of a traceparent of version 00:
// "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".
const (
	traceIDAt      = 3
	parentIDAt     = 36
	traceFlagsAt   = 53
	traceParentLen = 55
)

// ParseTraceParent parses a traceparent by the rules of W3C Trace Context: only
// lower-case hex digits are valid, no identifier is all zeros, version ff is
// invalid, and in versions above 00 a dash and more may follow.
func ParseTraceParent(b []byte) (traceID [16]byte, spanID [8]byte, sampled, ok bool) {
	if len(b) < traceParentLen || !isLowerHex(b[:2]) || string(b[:2]) == "ff" {
		return [16]byte{}, [8]byte{}, false, false
	}
	if len(b) > traceParentLen && (string(b[:2]) == "00" || b[traceParentLen] != '-') {
		return [16]byte{}, [8]byte{}, false, false
	}
	var flags [1]byte
	ok = hexAt(traceID[:], b, traceIDAt) && hexAt(spanID[:], b, parentIDAt) && hexAt(flags[:], b, traceFlagsAt)
	if !ok || traceID == [16]byte{} || spanID == [8]byte{} {
		return [16]byte{}, [8]byte{}, false, false
	}
	return traceID, spanID, flags[0]&1 != 0, true
}

// hexAt decodes the part of b that starts at offset at, after a dash.
func hexAt(dst, b []byte, at int) bool {
	digits := b[at : at+2*len(dst)]
	if b[at-1] != '-' || !isLowerHex(digits) {
		return false
	}
	_, err := hex.Decode(dst, digits)
	return err == nil
}

func isLowerHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

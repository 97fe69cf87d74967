package http1

import (
	"bytes"
	"net/http"
)

// Completeness says whether a response was written to its end.
type Completeness uint8

// The answers of Complete.
const (
	Unknown Completeness = iota // the bytes at hand do not tell
	Yes
	No
)

var completenessNames = [...]string{"unknown", "yes", "no"}

func (c Completeness) String() string { return completenessNames[c] }

// Complete says whether a response is complete of which responseBytes bytes,
// head included, were written. The tail is the last bytes written, eight are
// enough; closed says that the connection has ended. The method decides
// whether a response has a body: when it is empty, req tells it; req may be
// nil.
//
// An interim response (1xx other than 101) is never the complete response. A
// chunked response that ends in trailer fields is Unknown.
func Complete(req *RequestHead, resp *ResponseHead, method string, responseBytes uint64, tail []byte, closed bool) Completeness {
	if method == "" && req != nil {
		method = req.Method
	}
	switch {
	case responseBytes == 0:
		return No
	case resp.Status == 0:
		return Unknown
	case interim(resp.Status):
		return No
	case bodyless(method, resp.Status):
		return completeHead(resp, responseBytes, tail)
	case resp.HeadLen > 0 && responseBytes < uint64(resp.HeadLen):
		return No
	case resp.Chunked:
		return completeChunks(resp, responseBytes, tail)
	case resp.OtherCoding:
		return untilClose(closed)
	case resp.BadLength:
		return Unknown
	case resp.ContentLength != noLength:
		return completeLength(resp, responseBytes)
	case resp.HeadLen > 0:
		return untilClose(closed)
	}
	return Unknown
}

// interim reports whether the status is not the final one of a request.
func interim(status int) bool {
	return status < http.StatusOK && status != http.StatusSwitchingProtocols
}

// tunnels reports whether the connection stops to speak HTTP/1 after the
// response.
func tunnels(method string, status int) bool {
	return status == http.StatusSwitchingProtocols || method == http.MethodConnect && status/100 == 2
}

// bodyless reports whether a response has no body, whatever its fields say.
func bodyless(method string, status int) bool {
	return method == http.MethodHead || status < http.StatusOK || status == http.StatusNoContent ||
		status == http.StatusNotModified || tunnels(method, status)
}

// completeHead answers for a response that is nothing but a head.
func completeHead(resp *ResponseHead, written uint64, tail []byte) Completeness {
	switch {
	case resp.HeadLen > 0:
		return yesIf(written >= uint64(resp.HeadLen))
	case bytes.HasSuffix(tail, []byte("\r\n\r\n")):
		return Yes
	}
	return Unknown
}

func completeLength(resp *ResponseHead, written uint64) Completeness {
	length := uint64(resp.ContentLength)
	switch {
	case resp.HeadLen > 0:
		return yesIf(written >= uint64(resp.HeadLen)+length)
	case written <= length: // there is a head besides
		return No
	}
	return Unknown
}

// completeChunks looks for the last chunk, which is empty, at the end.
func completeChunks(resp *ResponseHead, written uint64, tail []byte) Completeness {
	if written == uint64(resp.HeadLen) {
		return No
	}
	if len(tail) == 0 {
		return Unknown
	}
	before, found := bytes.CutSuffix(tail, []byte("\r\n\r\n"))
	if !found {
		return No
	}
	size := bytes.TrimRight(before, "0")
	if len(size) < len(before) && (len(size) == 0 || size[len(size)-1] == '\n') {
		return Yes
	}
	return Unknown
}

func untilClose(closed bool) Completeness { return yesIf(closed) }

func yesIf(b bool) Completeness {
	if b {
		return Yes
	}
	return No
}

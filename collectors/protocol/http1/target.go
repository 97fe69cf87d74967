package http1

import "bytes"

var rootPath = []byte("/")

// target splits the request target into Path, Query and, if it has an authority,
// Host. The target of a cut request line may be cut at any byte.
func (h *RequestHead) target(t []byte) {
	switch {
	case len(t) == 0:
	case h.Method == "CONNECT":
		if !h.LineCut {
			h.Host, h.absolute = t, true
		}
	case t[0] == '/' || t[0] == '?':
		h.splitQuery(t)
	default:
		h.otherTarget(t)
	}
}

// otherTarget takes the absolute form, the asterisk form and whatever else a client
// sends.
func (h *RequestHead) otherTarget(t []byte) {
	authority, ok := afterScheme(t)
	if !ok {
		// "htt" may be the start of a scheme, so there is no path until that is
		// decided.
		if !h.LineCut || t[0] == '*' {
			h.splitQuery(t)
		}
		return
	}
	end := bytes.IndexAny(authority, "/?")
	if end < 0 {
		if h.LineCut {
			return
		}
		end = len(authority)
	}
	h.Host, h.absolute = withoutUser(authority[:end]), true
	h.splitQuery(authority[end:])
	if len(h.Path) == 0 {
		h.Path = rootPath
	}
}

// afterScheme returns what follows "scheme://" in an absolute target.
func afterScheme(t []byte) ([]byte, bool) {
	i := bytes.IndexByte(t, ':')
	if i <= 0 || len(t) < i+3 || t[i+1] != '/' || t[i+2] != '/' {
		return nil, false
	}
	if bytes.ContainsAny(t[:i], "/?") {
		return nil, false
	}
	return t[i+3:], true
}

// withoutUser removes the user information, which may be a secret, from an
// authority.
func withoutUser(authority []byte) []byte {
	if i := bytes.LastIndexByte(authority, '@'); i >= 0 {
		return authority[i+1:]
	}
	return authority
}

func (h *RequestHead) splitQuery(t []byte) {
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		h.Path, h.Query = t[:i], t[i+1:]
		return
	}
	h.Path = t
}

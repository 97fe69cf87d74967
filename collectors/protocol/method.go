package protocol

// MethodOther stands for every method that is not a well-known one, as the
// OpenTelemetry conventions have it. It keeps the number of methods small, no
// matter what clients send.
const MethodOther = "_OTHER"

// MaxMethodLen bounds a method. The longest registered one has 17 bytes.
const MaxMethodLen = 32

// InternMethod is the method as a string that lives forever: a well-known one,
// or MethodOther. Methods are case sensitive.
func InternMethod(b []byte) string {
	switch string(b) { // the compiler does not allocate here
	case "GET":
		return "GET"
	case "POST":
		return "POST"
	case "HEAD":
		return "HEAD"
	case "PUT":
		return "PUT"
	case "DELETE":
		return "DELETE"
	case "OPTIONS":
		return "OPTIONS"
	case "PATCH":
		return "PATCH"
	case "CONNECT":
		return "CONNECT"
	case "TRACE":
		return "TRACE"
	case "QUERY":
		return "QUERY"
	}
	return MethodOther
}

// IsToken reports whether every byte may occur in a method.
func IsToken(b []byte) bool {
	for _, c := range b {
		if !tokenBytes[c] {
			return false
		}
	}
	return true
}

// tokenBytes are the bytes of a token of RFC 9110.
var tokenBytes = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

package protocol

// MethodOther stands for each method that is not well-known, as the OpenTelemetry
// conventions define. It keeps the number of methods small, whatever clients send.
const MethodOther = "_OTHER"

// MaxMethodLen limits the length of a method in bytes. The longest registered one
// has 17.
const MaxMethodLen = 32

// InternMethod returns the method as a constant string: a well-known method, or
// MethodOther. Methods are case-sensitive.
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

// IsToken reports whether every byte is allowed in a method.
func IsToken(b []byte) bool {
	for _, c := range b {
		if !tokenBytes[c] {
			return false
		}
	}
	return true
}

// tokenBytes are the bytes that RFC 9110 allows in a token.
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

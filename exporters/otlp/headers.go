package otlp

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// reserved are the headers that describe the transport of an upload. They
// cannot be configured.
var reserved = []string{
	"connection", "content-encoding", "content-length", "content-type", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
}

// checkHeaders reports a header that cannot be sent. It never shows a value,
// because most of them are secrets.
func (c Config) checkHeaders() error {
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		lower := strings.ToLower(name)
		switch value := c.Headers[name]; {
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("headers %q: not a valid header name: use letters, digits and -", name)
		case slices.Contains(reserved, lower):
			return fmt.Errorf("headers %q: the agent sets this header: remove it", name)
		case strings.HasPrefix(lower, "grpc-"):
			return fmt.Errorf("headers %q: gRPC reserves names that start with grpc-: remove it", name)
		case !httpguts.ValidHeaderFieldValue(value), value != strings.TrimSpace(value):
			return fmt.Errorf("headers %q: the value contains a line break or another control character, or starts or ends with a space", name)
		case !printableASCII(value):
			return fmt.Errorf("headers %q: the value contains a non-ASCII character, which receivers do not accept", name)
		}
	}
	return nil
}

func printableASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

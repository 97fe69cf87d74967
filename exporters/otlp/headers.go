package otlp

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// reserved are headers that say how an upload is carried, which is not for the
// configuration to say.
var reserved = []string{
	"connection", "content-encoding", "content-length", "content-type", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
}

// checkHeaders reports a header that cannot be sent. It never shows a value: most
// are secrets.
func (c Config) checkHeaders() error {
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		lower := strings.ToLower(name)
		switch value := c.Headers[name]; {
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("headers %q: not the name of a header: use letters, digits and -", name)
		case slices.Contains(reserved, lower):
			return fmt.Errorf("headers %q: the agent sets this header itself: remove it", name)
		case strings.HasPrefix(lower, "grpc-"):
			return fmt.Errorf("headers %q: names that begin with grpc- are gRPC's own: remove it", name)
		case !httpguts.ValidHeaderFieldValue(value), value != strings.TrimSpace(value):
			return fmt.Errorf("headers %q: its value has a line break, another control character, or a space at an end", name)
		case !printableASCII(value):
			return fmt.Errorf("headers %q: its value has a character that is not ASCII, which receivers do not take", name)
		}
	}
	return nil
}

func printableASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

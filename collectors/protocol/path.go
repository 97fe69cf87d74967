package protocol

import (
	"bytes"

	"lapwing/collectors/text"
)

// Path makes the path of a request of what was sent: without the parameters that
// its segments may have, /cart;jsessionid=…/items, which like a query can be
// secrets and make each path another one, and no longer than the limit. It
// allocates only where there is something to cut.
func Path(sent []byte) []byte {
	return text.Cut(withoutParameters(sent), text.MaxPath)
}

func withoutParameters(path []byte) []byte {
	at := bytes.IndexByte(path, ';')
	if at < 0 {
		return path
	}
	if bytes.IndexByte(path[at:], '/') < 0 {
		return path[:at]
	}
	plain := make([]byte, 0, len(path))
	for {
		plain = append(plain, path[:at]...)
		path = path[at:]
		next := bytes.IndexByte(path, '/')
		if next < 0 {
			return plain
		}
		path = path[next:]
		if at = bytes.IndexByte(path, ';'); at < 0 {
			at = len(path)
		}
		if at == len(path) {
			return append(plain, path...)
		}
	}
}

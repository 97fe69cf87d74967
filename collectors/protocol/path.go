package protocol

import (
	"bytes"

	"lapwing/collectors/text"
)

// Path returns the path of a request from the path that was sent. It removes the
// parameters of path segments, as in /cart;jsessionid=…/items: like a query they
// can be secrets, and they make each path a different one. It also cuts the path to
// its limit. It allocates only if there is something to remove.
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

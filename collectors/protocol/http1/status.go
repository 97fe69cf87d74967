package http1

import "net/http"

// interim reports whether a response with this status is an interim one.
func interim(status int) bool {
	return status < http.StatusOK && status != http.StatusSwitchingProtocols
}

// tunnels reports whether the connection leaves HTTP/1 after the response.
func tunnels(method string, status int) bool {
	return status == http.StatusSwitchingProtocols || method == http.MethodConnect && status/100 == 2
}

// bodyless reports whether a response has no body, whatever its fields say.
func bodyless(method string, status int) bool {
	return method == http.MethodHead || status < http.StatusOK || status == http.StatusNoContent ||
		status == http.StatusNotModified || tunnels(method, status)
}

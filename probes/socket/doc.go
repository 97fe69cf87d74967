// Package socket is the kernel side of a request: it stamps connections and
// requests on server-side sockets and hands out one record per finished
// request.
package socket

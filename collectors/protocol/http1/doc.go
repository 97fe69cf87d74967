// Package http1 understands HTTP/1.0 and HTTP/1.1 as servers speak it.
//
// ParseRequest and ParseResponse read message heads. They serve the ordinary
// connection, which the kernel measures fully: one record per request, with
// the first bytes of both directions. Complete says whether such a response
// was written to its end.
//
// Pairer serves the connection that the kernel found unusual: pipelined heads,
// several responses in one write, interim responses, a request read in the
// middle of the previous response. Such a connection reports each read and
// write, and the Pairer frames both directions and pairs them.
//
// Nothing here judges whether a message deserves to be accepted: that is the
// server's business, and a request the server rejects is still a request. The
// parsers are strict only where laxness would take another protocol for HTTP.
package http1

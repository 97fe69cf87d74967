// Package http1 parses and frames HTTP/1.0 and HTTP/1.1 as servers use it.
//
// ParseRequest and ParseResponse parse message heads. They serve ordinary
// connections, which the kernel measures fully: one record per request, with the
// first bytes of both directions.
//
// Pairer serves connections that the kernel cannot frame: pipelined heads, several
// responses in one write, interim responses, or a request that is read in the
// middle of the previous response. Such a connection reports each read and write,
// and the Pairer frames both directions and pairs them.
//
// This package does not judge whether a message is acceptable. That is the server's
// task, and a request that the server rejects is still a request. The parsers are
// strict only where they would otherwise take another protocol for HTTP.
package http1

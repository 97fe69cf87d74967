// Package scgi understands SCGI.
//
// A request is a netstring of variables (their length in digits, a colon, the
// variables, a comma), the first of which is CONTENT_LENGTH. The body follows,
// as long as that says. The response is that of a CGI program, with the status
// among its fields, and ends with the connection.
package scgi

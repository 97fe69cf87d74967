// Package scgi frames SCGI.
//
// A request is a netstring of variables: their length in digits, a colon, the
// variables, a comma. The first variable is CONTENT_LENGTH, the length of the body
// that follows. The response is that of a CGI program, with the status among its
// fields, and ends with the connection.
package scgi

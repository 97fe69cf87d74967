// Package uwsgi frames the uwsgi protocol, which front ends speak to uWSGI.
//
// A request is a packet of variables after a header of four bytes: a modifier that
// says what kind of application is called, the length of the variables
// (little-endian) and another modifier. The body follows, with a length of
// CONTENT_LENGTH. The response is plain HTTP and ends with the connection.
package uwsgi

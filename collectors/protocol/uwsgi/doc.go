// Package uwsgi understands the uwsgi protocol, which front ends speak to uWSGI.
//
// A request is a packet of variables, with four bytes in front of it: a
// modifier that says what kind of application is asked for, the length of the
// variables (little-endian) and another modifier. The body follows, as long as
// CONTENT_LENGTH says. The response is plain HTTP and ends with the connection.
package uwsgi

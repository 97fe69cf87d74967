// Package fastcgi understands FastCGI, which front ends speak to php-fpm, to
// uWSGI and to programs that speak it themselves.
//
// Both directions are sequences of records: eight bytes that tell a type, the
// number of the request and a length, then content and padding. A request is a
// BEGIN record, the variables as a stream of PARAMS records and the body as a
// stream of STDIN records; an empty record ends a stream. The response is what
// a CGI program would print, in STDOUT records, up to an END record. Several
// requests may be under way on a connection, and it may be kept for more.
package fastcgi

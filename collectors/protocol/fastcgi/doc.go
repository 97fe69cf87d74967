// Package fastcgi frames FastCGI, which front ends speak to php-fpm, to uWSGI and
// to programs that implement it themselves.
//
// Both directions are sequences of records: eight bytes with a type, the number of
// the request and a length, then content and padding. A request is a BEGIN record,
// the variables as a stream of PARAMS records and the body as a stream of STDIN
// records. An empty record ends a stream. The response is the output of a CGI
// program, in STDOUT records, up to an END record. A connection can carry several
// requests at the same time, and can be kept open for more.
package fastcgi

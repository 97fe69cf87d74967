// Package modwsgi frames the private protocol between Apache and the daemon
// processes of mod_wsgi, as seen in release 4.9.
//
// A request starts with two numbers of eight bytes in the byte order of the
// machine: the length of what follows, and the number of strings in it. Then come
// the variables. The daemon asks for the body with the status "200 Continue", even
// if there is none. The body is sent in chunks. The response is that of a CGI
// program and ends with the connection.
package modwsgi

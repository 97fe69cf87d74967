// Package modwsgi understands the hop between Apache and the daemon processes
// of mod_wsgi, which is private to mod_wsgi: seen in its release 4.9.
//
// A request is two numbers of eight bytes in the byte order of the machine (the
// length of what follows, and how many strings it is), then the variables. The
// daemon asks for the body with the status "200 Continue" whether there is one
// or not; the body comes in chunks. The response is that of a CGI program and
// ends with the connection.
package modwsgi

// Package front is the architecture of nginx and lighttpd as a front end. An
// event loop per worker process reads whole requests, even from slow clients.
// It serves files itself with sendfile. It passes the other requests on to an
// upstream server by HTTP, FastCGI, uwsgi or SCGI, with a new connection for
// each. Meanwhile the connection of the client is kept alive. The response for
// a slow client waits here, not in the upstream server.
//
// The front end serves /file and /workers itself. If a target starts with
// /upstream/, this prefix is removed: /upstream/workers is the list of the
// upstream server.
package front

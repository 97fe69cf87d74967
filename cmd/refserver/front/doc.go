// Package front is the architecture of nginx and lighttpd as a front end: an
// event loop per worker process reads whole requests, however slow the client
// is, serves files itself with sendfile, and passes the rest on to an upstream
// server by HTTP, FastCGI, uwsgi or SCGI, on a new connection for each. The
// client's connection is kept alive meanwhile, and a slow client's response
// waits here, not in the upstream server.
//
// /file and /workers are the front end's own. A target that begins with
// /upstream/ loses that prefix on the way: /upstream/workers is the upstream
// server's list.
package front

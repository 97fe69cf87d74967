// Package gateway is what the gateway protocols have in common: FastCGI, uwsgi,
// SCGI and the private hops of mod_wsgi and Passenger.
//
// A front end hands a request on as CGI variables, in an encoding that differs
// from protocol to protocol: Pairs and Strings decode them as they come and
// Vars keeps the few that matter. Responder reads the head of the response,
// which has a Status line among its fields, or is plain HTTP. Exchange is a
// request and its response while they are under way.
//
// Single is the whole pairer of a protocol that carries one request on a
// connection: such a protocol only has to say where its request ends.
package gateway

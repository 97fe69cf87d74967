// Package gateway is what the gateway protocols have in common: FastCGI, uwsgi,
// SCGI and the private protocols of mod_wsgi and Passenger.
//
// A front end passes a request on as CGI variables, in an encoding that differs
// between protocols. Pairs and Strings decode them as they come, and Vars keeps the
// few that matter. Head parses the head of the response, which has a Status line
// among its fields, or is plain HTTP. Exchange is a request in progress with its
// response.
//
// Single is the complete pairer of protocols with one request at a time on a
// connection. Such a protocol only has to define its format.
package gateway

// Package passenger frames the private protocol between the core of Passenger and
// the processes of an application, as seen in release 6.0.
//
// A request is the length of its variables in four bytes (big-endian), the
// variables and the body. The response is plain HTTP. The process may keep the
// connection open for another request.
package passenger

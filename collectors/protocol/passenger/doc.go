// Package passenger understands the hop between the core of Passenger and the
// processes of an application, which is private to Passenger: seen in its
// release 6.0.
//
// A request is the length of its variables in four bytes (big-endian), the
// variables and the body. The response is plain HTTP. The process may keep the
// connection for another request.
package passenger

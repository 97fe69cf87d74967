// Package stitch joins the hops that a request takes on this host into one trace,
// without an injected header.
//
// A trace needs two joins. A request at a back end belongs to the call on whose
// connection it came. The kernel knows both ends of that connection. The call
// belongs to the request that the front end worked on when it started the call.
// This is certain for a thread that has one request at a time. A thread with many,
// an event loop, gives two clues: which request it had read last when it started
// the call, and which call's answer it had read last when it started the response.
// If both name each other, the join is made. If they do not, and nothing else
// decides, the call stays unjoined and is counted.
//
// Another clue is a call's head that passes on the head of exactly one request in
// progress. It adds to the clues of the threads and never overrules them: a path
// that two requests share proves nothing, and a path that a proxy rewrites could
// prove something wrong.
//
// Requests of servers that neither make calls nor are called by a server on this
// host pass through immediately. The others are held until what they depend on is
// known, usually for less than a second.
package stitch

// Package stitch makes one trace of the hops that a request takes on this
// host, without a header being injected.
//
// Two joins make a trace. A request at a back end belongs to the call whose
// connection it came on: the kernel knows both ends of it. The call belongs to
// the request that the front end worked on when it began the call. For a
// thread that has one request at a time that is certain. A thread with many,
// an event loop, gives two clues of its own: which request it had read from
// when it began the call, and which call's answer it had read when it began
// the response. Where both name each other the join is made; where they do
// not, and nothing else decides, it is not, and that is counted.
//
// A call's head that passes on that of exactly one request in progress is a
// clue beside those, never against them: a path that two requests share proves
// nothing, and one that a proxy rewrites could prove the wrong thing.
//
// Requests of servers that neither make calls nor are called by one on this
// host pass through at once. The others are held until what they depend on is
// known, most often less than a second.
package stitch

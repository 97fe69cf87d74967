package exporters

// Health is the agent's account of itself since its start: what it produced
// and, per cause, what it could not.
type Health struct {
	// Requests counts the finished requests handed to exporters, those that
	// filters or sampling left out later included.
	Requests uint64
	// Incomplete counts the requests that ended without a complete response.
	Incomplete uint64
	// Lost counts, per cause, finished requests that never reached an exporter.
	Lost map[string]uint64
	// SkippedRuns counts the runs of the agent's programs that the kernel
	// skipped because it had interrupted one of the same program. What such a
	// run would have seen is absent.
	SkippedRuns uint64
	// MissedStart counts, per cause, requests that were in flight when the
	// agent started and are therefore not measured.
	MissedStart map[string]uint64
	// Unknown counts, per reason, connections that spoke no known protocol.
	Unknown map[string]uint64
	// Tunnels counts the connections that became tunnels (WebSocket, CONNECT).
	Tunnels uint64
	// Joined counts the requests that a server on this host made of another
	// one and that became its children in a trace; Unjoined those that did
	// not, per reason.
	Joined   uint64
	Unjoined map[string]uint64
	// CallsJoined counts the calls of servers, to wherever, that were joined
	// to the request they were made for; CallsUnjoined the others, per reason.
	CallsJoined   uint64
	CallsUnjoined map[string]uint64
	// Dropped counts, per exporter and cause, what a destination did not get.
	Dropped map[string]map[string]uint64
}

// HealthFunc takes a snapshot of the agent's health. It is safe for
// concurrent use.
type HealthFunc func() Health

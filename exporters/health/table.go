package health

// Table lists all counters, in the order in which they are shown.
var Table = []*Counter{
	Requests, Incomplete, Lost, HeadsCut, Skipped, InFlight, MissedStart, Unknown, Abandoned, Tunnels, Unpaired,
	MarkersRefused, SyscallsRefused, Unanswered, Stuck, PoolsLeftOut, Joined, Unjoined, CallsJoined, CallsUnjoined, Dropped,
}

// What was measured.
var (
	Requests = &Counter{
		Key: "requests", Metric: "lapwing.agent.requests", Unit: "{request}",
		Help: "Finished requests handed to exporters, before any sampling.",
		Long: "requests",
		read: one(func(s *Sources) uint64 { return s.Assembled.Requests }),
	}
	Incomplete = &Counter{
		Key: "incomplete", Metric: "lapwing.agent.requests.incomplete", Unit: "{request}",
		Help:  "Requests that ended without a complete response. Look at the server or its clients: this is not the agent's doing.",
		Short: "incomplete", Long: "incomplete",
		read: one(func(s *Sources) uint64 { return s.Assembled.Incomplete }),
	}
	HeadsCut = &Counter{
		Key: "heads_cut", Metric: "lapwing.agent.requests.head_cut", Unit: "{request}",
		Help:  "Requests whose request line was longer than what is captured of a head, so that their path is cut. Raise `probes.head_bytes`.",
		Short: "with a cut head",
		read:  one(func(s *Sources) uint64 { return s.Assembled.HeadsCut }),
	}
	InFlight = &Counter{
		Key:   "in_flight",
		Help:  "Requests that had not ended when the agent did. Known at its end only.",
		Short: "still in flight at the end", Long: "still in flight at the end",
		read: one(func(s *Sources) uint64 { return s.Assembled.InFlight }),
	}
	Tunnels = &Counter{
		Key: "tunnels", Metric: "lapwing.agent.connections.tunnels", Unit: "{connection}",
		Help:  "Connections that became tunnels: WebSocket, CONNECT.",
		Short: "tunnels",
		read:  one(func(s *Sources) uint64 { return s.Assembled.Tunnels }),
	}
)

// What was not.
var (
	Lost = &Counter{
		Key: "lost", Metric: "lapwing.agent.requests.lost", Unit: "{request}", By: []string{"cause"},
		Help:  "Finished requests that never reached an exporter.",
		Short: "lost", Long: "lost",
		Causes: []Cause{
			{"ring_full", "The agent was too slow for a moment. Raise `probes.ring_bytes`; give the agent CPU time.",
				func(s *Sources) uint64 { return s.Kernel.LostRing }},
			{"ring_full_events", "The same, for one read or write of a connection that is framed in user space.",
				func(s *Sources) uint64 { return max(s.Kernel.LostEvents, s.Assembled.LostEvents) }},
			{"malformed", "A record did not have the form that the agent knows. Tell us.",
				func(s *Sources) uint64 { return s.Kernel.Malformed }},
			{"table_full", "Connections that found no room among those that are tracked by their address: on unix sockets, and all of the plan `syscall`; 65,536, before Linux 6.1 16,384. Tell us: that is a lot of connections.",
				func(s *Sources) uint64 { return s.Kernel.LostTable }},
			{"framing_lost", "The place in a connection's messages was lost, because bytes could not be seen or a length was not true.",
				func(s *Sources) uint64 { return s.Assembled.Desynced }},
			{"too_many_open", "More requests were open, on one connection or on all that are framed in user space, than are kept.",
				func(s *Sources) uint64 { return s.Assembled.Overflowed }},
			{"not_named", "The process does not tell its command line, and the filter cannot do without the name. Look at the process that the log names.",
				func(s *Sources) uint64 { return s.Assembled.Undecided }},
		},
	}
	Skipped = &Counter{
		Key: "probe_runs_skipped", Metric: "lapwing.agent.probes.skipped", Unit: "{run}",
		Help:  "Runs of the agent's programs that the kernel skipped, because it had interrupted one of the same program: a stamp that it would have taken is absent, no request is.",
		Short: "skipped probe runs",
		read:  one(func(s *Sources) uint64 { return s.Kernel.Skipped }),
	}
	MissedStart = &Counter{
		Key: "missed_start", Metric: "lapwing.agent.requests.missed_start", Unit: "{request}", By: []string{"cause"},
		Help:  "Requests in flight when the agent started, therefore not measured. It happens once.",
		Short: "missed_start", Long: "missed at the start",
		Causes: []Cause{
			{"queued", "Not yet read by the server.", func(s *Sources) uint64 { return s.Kernel.MissedQueued }},
			{"in_progress", "Read, not yet answered.", func(s *Sources) uint64 { return s.Kernel.MissedProgress }},
		},
	}
	Unknown = &Counter{
		Key: "unknown", Metric: "lapwing.agent.connections.unknown", Unit: "{connection}", By: []string{"reason"},
		Help:  "Connections that spoke no protocol the agent knows, TLS among them. Trace behind the proxy that ends TLS.",
		Short: "unknown", Long: "connections of unknown protocol",
		Causes: []Cause{
			{"ring_full", "The record that tells the protocol found the log full.", func(s *Sources) uint64 { return s.Kernel.LostUnknown }},
		},
		read: by(func(s *Sources) map[string]uint64 { return s.Assembled.Unknown }),
	}
	Abandoned = &Counter{
		Key: "abandoned", Metric: "lapwing.agent.connections.abandoned", Unit: "{connection}", By: []string{"listener", "reason"},
		Help:  "Connections that ended before the server read what had arrived, or before it accepted them. Where bytes had arrived, the service has an error `abandoned` as well. Look at restarts, crashes and time limits of the server.",
		Short: "abandoned", Long: "connections abandoned",
		Causes: []Cause{
			{Name: "not_read", Help: "The server closed the connection."},
			{Name: "not_accepted", Help: "The server closed its listener, or died, with the connection in the backlog."},
			{Name: "client_reset", Help: "The client or the network was first."},
		},
		read: func(s *Sources) Counts { return ByBoth(s.Assembled.Abandoned) },
	}
	Unpaired = &Counter{
		Key: "unpaired", Metric: "lapwing.agent.messages.unpaired", Unit: "{message}",
		Help:  "Messages without a counterpart on connections that are framed in user space: responses to nothing, bytes that looked like a request and were none.",
		Short: "unpaired messages",
		read:  one(func(s *Sources) uint64 { return s.Assembled.Unpaired }),
	}
	PoolsLeftOut = &Counter{
		Key: "pools_left_out", Metric: "lapwing.agent.pools.left_out", Unit: "{item}", By: []string{"cause"},
		Help: "What the worker pools do not show.",
		Causes: []Cause{
			{Name: "too_many_services", Help: "Requests of services beyond the limit of pools."},
			{Name: "too_many_connections", Help: "Connections that did not fit into the last look."},
		},
		read: by(func(s *Sources) map[string]uint64 { return s.Pools }),
	}
)

// What other processes did not tell, or must not have.
var (
	MarkersRefused = &Counter{
		Key: "markers_refused", Metric: "lapwing.agent.markers.refused", Unit: "{attempt}", By: []string{"reason"},
		Help:  "Attempts to find or set [markers](phases.md#markers) in a process or a file that were given up; the reasons are in [security](security.md#files-of-other-users).",
		Short: "markers refused", Long: "attempts at markers refused",
		read: by(func(s *Sources) map[string]uint64 { return s.Markers }),
	}
	SyscallsRefused = &Counter{
		Key: "syscalls_refused", Metric: "lapwing.agent.sandbox.refused", Unit: "{call}", By: []string{"syscall"},
		Help:  "System calls of the agent that its own [filter](security.md#the-agent-locks-itself-in) refused. There should be none: report them, and set `sandbox: off` until then if something does not work.",
		Short: "system calls refused", Long: "system calls refused",
		read: by(func(s *Sources) map[string]uint64 { return s.Calls }),
	}
	Unanswered = &Counter{
		Key: "unanswered", Metric: "lapwing.agent.processes.unanswered", Unit: "{question}", By: []string{"reason"},
		Help: "Questions about processes, below `/proc`, that were not answered, see [security](security.md#processes-that-do-not-answer). The log names the processes: their memory is locked, by a file system that hangs or on purpose.",
		Causes: []Cause{
			{"late", "The answer did not come within 50 ms.", func(s *Sources) uint64 { return s.Asked.Late }},
			{"left_alone", "Not asked again since.", func(s *Sources) uint64 { return s.Asked.Refused }},
			{"others_hold_up", "Not asked because too many others do not answer.", func(s *Sources) uint64 { return s.Asked.Busy }},
		},
	}
	Stuck = &Counter{
		Key: "helpers_stuck", Metric: "lapwing.agent.helpers.stuck", Unit: "{thread}", Gauge: true,
		Help: "Threads of the agent that wait for a process which does not answer.",
		read: one(func(s *Sources) uint64 { return uint64(s.Asked.Stuck) }),
	}
)

// What became of joins and exports.
var (
	Joined = &Counter{
		Key: "joined", Metric: "lapwing.agent.requests.joined", Unit: "{request}",
		Help: "Requests from one server on this host to another that became children of the call in a trace.",
		Long: "requests joined to the one that led to them",
		read: one(func(s *Sources) uint64 { return s.Joins.Requests.Joined }),
	}
	Unjoined = &Counter{
		Key: "unjoined", Metric: "lapwing.agent.requests.unjoined", Unit: "{request}", By: []string{"reason"},
		Help: "Requests from one server on this host to another that did not, see [stitch](stitch.md).",
		Long: "requests not joined",
		read: by(func(s *Sources) map[string]uint64 { return s.Joins.Requests.Unjoined }),
	}
	CallsJoined = &Counter{
		Key: "calls_joined", Metric: "lapwing.agent.calls.joined", Unit: "{call}",
		Help: "Calls of servers, to wherever, that were joined to the request they were made for.",
		read: one(func(s *Sources) uint64 { return s.Joins.Calls.Joined }),
	}
	CallsUnjoined = &Counter{
		Key: "calls_unjoined", Metric: "lapwing.agent.calls.unjoined", Unit: "{call}", By: []string{"reason"},
		Help: "Calls of servers that were not, see [stitch](stitch.md).",
		Long: "calls not joined to a request",
		Causes: []Cause{
			{"ring_full", "The call's record found the log full.", func(s *Sources) uint64 { return s.Kernel.LostCalls }},
		},
		read: by(func(s *Sources) map[string]uint64 { return s.Joins.Calls.Unjoined }),
	}
	Dropped = &Counter{
		Key: "dropped", Metric: "lapwing.agent.exporter.dropped", Unit: "{request}", By: []string{"exporter", "cause"}, Apart: true,
		Help:  "What a destination did not get.",
		Short: "dropped by", Long: "dropped by",
		Causes: []Cause{
			{Name: "slow_output", Help: "`trace` printed slower than requests came. Use `--slow`, a filter, or write to a file."},
			{Name: "queue_full", Help: "The receiver takes traces slower than they come. Raise `export.otlp.queue_size`, or sample."},
		},
		read: func(s *Sources) Counts { return ByBoth(s.Dropped) },
	}
)

package health

// Table lists all counters, in the order in which they are shown.
var Table = []*Counter{
	Requests, Incomplete, Lost, HeadsCut, Skipped, Forgotten, InFlight, MissedStart, Unknown, Abandoned, Tunnels, Unpaired,
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
		Help:  "Requests that ended without a complete response. The cause is in the server or its clients, not in the agent.",
		Short: "incomplete", Long: "incomplete",
		read: one(func(s *Sources) uint64 { return s.Assembled.Incomplete }),
	}
	HeadsCut = &Counter{
		Key: "heads_cut", Metric: "lapwing.agent.requests.head_cut", Unit: "{request}",
		Help:  "Requests whose request line was longer than the captured part of the head, so that their path is truncated. Raise `probes.head_bytes`.",
		Short: "with a cut head",
		read:  one(func(s *Sources) uint64 { return s.Assembled.HeadsCut }),
	}
	InFlight = &Counter{
		Key:   "in_flight",
		Help:  "Requests that were still in progress when the agent stopped. Known only when the agent stops.",
		Short: "still in flight at the end", Long: "still in flight at the end",
		read: one(func(s *Sources) uint64 { return s.Assembled.InFlight }),
	}
	Tunnels = &Counter{
		Key: "tunnels", Metric: "lapwing.agent.connections.tunnels", Unit: "{connection}",
		Help:  "Connections that became tunnels (WebSocket, CONNECT).",
		Short: "tunnels",
		read:  one(func(s *Sources) uint64 { return s.Assembled.Tunnels }),
	}
)

// What was not measured.
var (
	Lost = &Counter{
		Key: "lost", Metric: "lapwing.agent.requests.lost", Unit: "{request}", By: []string{"cause"},
		Help:  "Finished requests that did not reach an exporter.",
		Short: "lost", Long: "lost",
		Causes: []Cause{
			{"ring_full", "The agent was temporarily too slow. Raise `probes.ring_bytes`, or give the agent more CPU time.",
				func(s *Sources) uint64 { return s.Kernel.LostRing }},
			{"ring_full_events", "The same, for a single read or write of a connection that is framed in user space.",
				func(s *Sources) uint64 { return max(s.Kernel.LostEvents, s.Assembled.LostEvents) }},
			{"malformed", "A record had an unknown format. Please report it.",
				func(s *Sources) uint64 { return s.Kernel.Malformed }},
			{"table_full", "The table of connections that are tracked by address was full. It holds unix sockets and, with the plan `syscall`, all connections: 65,536, or 16,384 before Linux 6.1. Please report it.",
				func(s *Sources) uint64 { return s.Kernel.LostTable }},
			{"framing_lost", "Framing of a connection failed, because bytes were not visible or a length was wrong.",
				func(s *Sources) uint64 { return s.Assembled.Desynced }},
			{"too_many_open", "The limit of open requests was reached, on one connection or on all connections that are framed in user space.",
				func(s *Sources) uint64 { return s.Assembled.Overflowed }},
			{"not_named", "The command line of the process could not be read, and the filter needs the name of the service. Check the process that the log names.",
				func(s *Sources) uint64 { return s.Assembled.Undecided }},
		},
	}
	Skipped = &Counter{
		Key: "probe_runs_skipped", Metric: "lapwing.agent.probes.skipped", Unit: "{run}",
		Help:  "Runs of the agent's eBPF programs that the kernel skipped, because it had interrupted another run of the same program. A stamp of the request can be absent; no request is lost.",
		Short: "skipped probe runs",
		read:  one(func(s *Sources) uint64 { return s.Kernel.Skipped }),
	}
	Forgotten = &Counter{
		Key: "forgotten", Metric: "lapwing.agent.probes.forgotten", Unit: "{item}", By: []string{"cause"},
		Help:  "What the probes no longer knew when it was needed, because a table of fixed size was full. No request is lost, but a figure of it is absent.",
		Short: "forgotten",
		Causes: []Cause{
			{"accept", "When a connection was accepted: more than 16,384 connections were accepted and not read yet, or they are accepted through io_uring. `accepted` and the parts of `queue` are absent.",
				func(s *Sources) uint64 { return s.Kernel.LostAccept }},
			{"caller", "The client's end of a call: servers have more than 16,384 calls open. The request at the other end does not continue the trace.",
				func(s *Sources) uint64 { return s.Kernel.LostCaller }},
			{"thread", "What the thread or process of a request did before: more than 16,384 threads or 8,192 processes serve requests. Calls are joined less often.",
				func(s *Sources) uint64 { return s.Kernel.LostThread }},
		},
	}
	MissedStart = &Counter{
		Key: "missed_start", Metric: "lapwing.agent.requests.missed_start", Unit: "{request}", By: []string{"cause"},
		Help:  "Requests that were in flight when the agent started and were not measured. They occur only at the start.",
		Short: "missed_start", Long: "missed at the start",
		Causes: []Cause{
			{"queued", "The server had not read the request.", func(s *Sources) uint64 { return s.Kernel.MissedQueued }},
			{"in_progress", "The server had read the request, but not answered it.", func(s *Sources) uint64 { return s.Kernel.MissedProgress }},
		},
	}
	Unknown = &Counter{
		Key: "unknown", Metric: "lapwing.agent.connections.unknown", Unit: "{connection}", By: []string{"reason"},
		Help:  "Connections with an unknown protocol, including TLS. With TLS, trace the server behind the proxy that terminates it.",
		Short: "unknown", Long: "connections of unknown protocol",
		Causes: []Cause{
			{"ring_full", "The log was full when the protocol was reported.", func(s *Sources) uint64 { return s.Kernel.LostUnknown }},
		},
		read: by(func(s *Sources) map[string]uint64 { return s.Assembled.Unknown }),
	}
	Abandoned = &Counter{
		Key: "abandoned", Metric: "lapwing.agent.connections.abandoned", Unit: "{connection}", By: []string{"listener", "reason"},
		Help:  "Connections that ended before the server accepted them, or before it read the data that had arrived. If data had arrived, the service also counts an error `abandoned`. Check the server for restarts, crashes and timeouts.",
		Short: "abandoned", Long: "connections abandoned",
		Causes: []Cause{
			{Name: "not_read", Help: "The server closed the connection."},
			{Name: "not_accepted", Help: "The server closed its listener, or exited, while the connection was in the backlog."},
			{Name: "client_reset", Help: "The client or the network ended the connection first."},
		},
		read: func(s *Sources) Counts { return ByBoth(s.Assembled.Abandoned) },
	}
	Unpaired = &Counter{
		Key: "unpaired", Metric: "lapwing.agent.messages.unpaired", Unit: "{message}",
		Help:  "Messages without a counterpart on connections that are framed in user space: responses without a request, or bytes that only looked like a request.",
		Short: "unpaired messages",
		read:  one(func(s *Sources) uint64 { return s.Assembled.Unpaired }),
	}
	PoolsLeftOut = &Counter{
		Key: "pools_left_out", Metric: "lapwing.agent.pools.left_out", Unit: "{item}", By: []string{"cause"},
		Help: "Requests and connections that are missing from the worker pools.",
		Causes: []Cause{
			{Name: "too_many_services", Help: "Requests of services that have no pool, because the limit of pools was reached."},
			{Name: "too_many_connections", Help: "Connections that did not fit into the last snapshot."},
		},
		read: by(func(s *Sources) map[string]uint64 { return s.Pools }),
	}
)

// What other processes did not report, or must not have.
var (
	MarkersRefused = &Counter{
		Key: "markers_refused", Metric: "lapwing.agent.markers.refused", Unit: "{attempt}", By: []string{"reason"},
		Help:  "Failed attempts to find or set [markers](phases.md#markers) in a process or a file. [security](security.md#files-of-other-users) lists the reasons.",
		Short: "markers refused", Long: "markers refused",
		read: by(func(s *Sources) map[string]uint64 { return s.Markers }),
	}
	SyscallsRefused = &Counter{
		Key: "syscalls_refused", Metric: "lapwing.agent.sandbox.refused", Unit: "{call}", By: []string{"syscall"},
		Help:  "System calls of the agent that its own [filter](security.md#the-agent-locks-itself-in) refused. There should be none: please report them. If something does not work meanwhile, set `sandbox: off`.",
		Short: "system calls refused", Long: "system calls refused",
		read: by(func(s *Sources) map[string]uint64 { return s.Calls }),
	}
	Unanswered = &Counter{
		Key: "unanswered", Metric: "lapwing.agent.processes.unanswered", Unit: "{question}", By: []string{"reason"},
		Help: "Reads of `/proc` about a process that were not answered, see [security](security.md#processes-that-do-not-answer). The log names the processes. Their memory is locked, by a file system that hangs or on purpose.",
		Causes: []Cause{
			{"late", "There was no answer within 50 ms.", func(s *Sources) uint64 { return s.Asked.Late }},
			{"left_alone", "The process was not read again after that.", func(s *Sources) uint64 { return s.Asked.Refused }},
			{"others_hold_up", "The process was not read, because too many others do not answer.", func(s *Sources) uint64 { return s.Asked.Busy }},
		},
	}
	Stuck = &Counter{
		Key: "helpers_stuck", Metric: "lapwing.agent.helpers.stuck", Unit: "{thread}", Gauge: true,
		Help: "Threads of the agent that are blocked by a process that does not answer.",
		read: one(func(s *Sources) uint64 { return uint64(s.Asked.Stuck) }),
	}
)

// What became of joins and exports.
var (
	Joined = &Counter{
		Key: "joined", Metric: "lapwing.agent.requests.joined", Unit: "{request}",
		Help: "Requests from one server on this host to another that were joined to the call that caused them.",
		Long: "requests joined to the call that caused them",
		read: one(func(s *Sources) uint64 { return s.Joins.Requests.Joined }),
	}
	Unjoined = &Counter{
		Key: "unjoined", Metric: "lapwing.agent.requests.unjoined", Unit: "{request}", By: []string{"reason"},
		Help: "Requests from one server on this host to another that were not joined, see [stitch](stitch.md).",
		Long: "requests not joined",
		read: by(func(s *Sources) map[string]uint64 { return s.Joins.Requests.Unjoined }),
	}
	CallsJoined = &Counter{
		Key: "calls_joined", Metric: "lapwing.agent.calls.joined", Unit: "{call}",
		Help: "Downstream calls, to any destination, that were joined to the request that they were made for.",
		read: one(func(s *Sources) uint64 { return s.Joins.Calls.Joined }),
	}
	CallsUnjoined = &Counter{
		Key: "calls_unjoined", Metric: "lapwing.agent.calls.unjoined", Unit: "{call}", By: []string{"reason"},
		Help: "Downstream calls that were not joined to a request, see [stitch](stitch.md).",
		Long: "calls not joined to a request",
		Causes: []Cause{
			{"ring_full", "The log was full when the call was reported.", func(s *Sources) uint64 { return s.Kernel.LostCalls }},
		},
		read: by(func(s *Sources) map[string]uint64 { return s.Joins.Calls.Unjoined }),
	}
	Dropped = &Counter{
		Key: "dropped", Metric: "lapwing.agent.exporter.dropped", Unit: "{request}", By: []string{"exporter", "cause"}, Apart: true,
		Help:  "Requests that did not reach the destination of an exporter.",
		Short: "dropped by", Long: "dropped by",
		Causes: []Cause{
			{Name: "slow_output", Help: "`trace` printed more slowly than requests arrived. Use `--slow` or a filter, or write to a file."},
			{Name: "queue_full", Help: "The receiver accepts traces more slowly than they arrive. Raise `export.otlp.queue_size`, or use sampling."},
		},
		read: func(s *Sources) Counts { return ByBoth(s.Dropped) },
	}
)

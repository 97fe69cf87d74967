package socket

// hook ties a kernel attach point to the program it runs.
type hook struct {
	program  string // name in the object
	name     string // as the kernel names it
	purpose  string
	optional bool
	without  string              // what is absent without an optional hook
	unless   []string            // not needed where one of these programs is used
	has      func(*kernel) error // nil error: the kernel has it
}

func btfHook(program, name, purpose string) hook {
	return hook{program: program, name: "tp_btf/" + name, purpose: purpose, has: tracepointBTF(name)}
}

func syscallHook(program, name, purpose string) hook {
	return hook{program: program, name: "tracepoint/syscalls/" + name, purpose: purpose, has: syscallTracepoint(name)}
}

func iterHook(program, name, purpose string) hook {
	return hook{program: program, name: "iter/" + name, purpose: purpose, has: iterator(name)}
}

func functionHook(program, name, purpose string) hook {
	return hook{program: program, name: "fentry/" + name, purpose: purpose, has: attachable(name)}
}

func optional(h hook, without string) hook {
	h.optional, h.without = true, without
	return h
}

func unless(h hook, programs ...string) hook {
	h.unless = programs
	return h
}

const (
	noUnixArrival = "on unix sockets arrived, queue and duration are absent"
	noExisting    = "connections older than the agent are not measured"
	noPools       = "requests in flight, held workers and backlogs are not seen"
	noMarker      = "boundary is always syscall"
)

// commonHooks serve both plans. tcp_state comes last of those that fire by
// themselves: through it connections come into being, and they must not before
// everything else that belongs to them is attached.
func commonHooks() []hook {
	return []hook{
		btfHook("tcp_segment", "tcp_probe", "arrived, arrived_last, acked (TCP)"),
		syscallHook("accept_exit", "sys_exit_accept", "accepted"),
		syscallHook("accept4_exit", "sys_exit_accept4", "accepted"),
		syscallHook("close_enter", "sys_enter_close", "end of a unix connection"),
		syscallHook("shutdown_enter", "sys_enter_shutdown", "end of a unix connection"),
		btfHook("tcp_state", "inet_sock_set_state", "established, end of a TCP connection"),
		iterHook("idle_elem", "bpf_map_elem", "hands out requests of quiet connections"),
		optional(iterHook("tcp_listening", "tcp", "finds sockets that listen: their connections are a server's"), noExisting),
		optional(iterHook("tcp_existing", "tcp", "finds TCP connections older than the agent"), noExisting),
		optional(iterHook("unix_existing", "unix", "finds unix connections older than the agent"), noExisting),
		optional(iterHook("see_elem", "bpf_map_elem", "worker pools"), noPools),
		optional(iterHook("see_files", "task_file", "worker pools"), noPools),
		optional(hook{program: markProgram, name: "uprobe", purpose: "marker: the application is called", has: uprobes}, noMarker),
	}
}

var (
	readCalls  = []string{"read", "readv", "recvfrom", "recvmsg", "recvmmsg", "splice"}
	writeCalls = []string{"write", "writev", "sendto", "sendmsg", "sendmmsg", "sendfile64", "splice"}
)

func socketHooks() []hook {
	sendEnter := optional(btfHook("send_enter", "tcp_sendmsg_locked", "write_first (TCP)"), "the function of that name is used instead")
	sendFunction := optional(functionHook("send_function", "tcp_sendmsg_locked", "write_first (TCP)"), "the entry of the write system calls is used instead")
	hooks := []hook{
		btfHook("recv_exit", "sock_recv_length", "read_first, read_last"),
		seesSendfile(btfHook("send_exit", "sock_send_length", "write_last")),
		optional(btfHook("data_ready", "sk_data_ready", "arrived, write_first (unix)"), noUnixArrival),
		sendEnter,
		unless(sendFunction, "send_enter"),
	}
	for _, call := range writeCalls {
		hooks = append(hooks, unless(syscallHook("call_enter", "sys_enter_"+call, "write_first"), "send_enter", "send_function"))
	}
	hooks = append(hooks, iterHook("idle_tcp", "bpf_sk_storage_map", "hands out requests of quiet connections"))
	hooks = append(hooks, optional(iterHook("see_tcp", "bpf_sk_storage_map", "worker pools"), noPools))
	return append(hooks, commonHooks()...)
}

// seesSendfile demands more of the kernel than the tracepoint: before 6.5
// sendfile did not pass through it.
func seesSendfile(h hook) hook {
	tracepoint := h.has
	h.has = func(k *kernel) error {
		if err := tracepoint(k); err != nil {
			return err
		}
		if function("splice_to_socket")(k) != nil {
			return lacks("the kernel is older than 6.5: its sendfile does not pass the tracepoint")
		}
		return nil
	}
	return h
}

func syscallHooks() []hook {
	var hooks []hook
	for _, call := range readCalls {
		hooks = append(hooks, syscallHook("read_exit", "sys_exit_"+call, "read_first, read_last"))
	}
	for _, call := range writeCalls {
		hooks = append(hooks, syscallHook("write_enter", "sys_enter_"+call, "write_first"),
			syscallHook("write_exit", "sys_exit_"+call, "write_last"))
	}
	readable := functionHook("readable", "sock_def_readable", "arrived (unix)")
	hooks = append(hooks,
		optional(btfHook("data_ready", "sk_data_ready", "arrived (unix)"), "fentry/sock_def_readable is used instead"),
		unless(optional(readable, noUnixArrival), "data_ready"))
	return append(hooks, commonHooks()...)
}

func hooksOf(p Plan) []hook {
	if p == PlanSocket {
		return socketHooks()
	}
	return syscallHooks()
}

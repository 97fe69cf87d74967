package survey

import (
	"strings"

	"github.com/cilium/ebpf/btf"
)

// hook ties a kernel attach point to the program it runs.
type hook struct {
	program  string // name in the object
	Name     string // as the kernel names it
	purpose  string
	optional bool
	without  string              // what is absent without an optional hook
	unless   []string            // not needed if one of these programs is used
	has      func(*kernel) error // returns nil if the kernel has it
}

func btfHook(program, name, purpose string) hook {
	return hook{program: program, Name: "tp_btf/" + name, purpose: purpose, has: tracepointBTF(name)}
}

func syscallHook(program, name, purpose string) hook {
	return hook{program: program, Name: "tracepoint/syscalls/" + name, purpose: purpose, has: syscallTracepoint(name)}
}

func iterHook(program, name, purpose string) hook {
	return hook{program: program, Name: onDemand + name, purpose: purpose, has: iterator(name)}
}

// mapHook is an iterator over a map.
func mapHook(program, name, purpose string) hook {
	h := iterHook(program, name, purpose)
	h.has = mapIterator(name)
	return h
}

// callHook is a program that user space runs. It goes over a map.
func callHook(program, purpose string) hook {
	return hook{program: program, Name: called, purpose: purpose, has: callable}
}

// The names of what does not fire on its own.
const (
	onDemand = "iter/"
	called   = "syscall"
)

// OnDemand reports whether the program runs only when user space asks for it.
func (h Hook) OnDemand() bool { return h.Name == called || strings.HasPrefix(h.Name, onDemand) }

func functionHook(program, name, purpose string) hook {
	return hook{program: program, Name: "fentry/" + name, purpose: purpose, has: attachable(name)}
}

func optional(h hook, without string) hook {
	h.optional, h.without = true, without
	return h
}

func unless(h hook, programs ...string) hook {
	h.unless = programs
	return h
}

// Purposes that several hooks serve.
const (
	quiet  = "reports requests of quiet connections"
	killed = "end of a unix connection whose process was killed"
	pools  = "worker pools: requests in flight"

	quietUnix = "reports requests of quiet unix connections"
	quietTCP  = "reports requests of quiet TCP connections"
)

// DiscardProgram counts what listening sockets discard.
const DiscardProgram = "see_discard"

const (
	noUnixArrival = "on unix sockets, arrived, queue and duration are absent"
	noExisting    = "connections older than the agent are not measured"
	noPools       = "requests in flight, held workers and backlogs are not shown"
	noProcesses   = "after an exec, a process keeps its previous name for up to five seconds"
	noMultipath   = "write_first of MPTCP connections is absent"
	noDrops       = "if several listeners drop connection attempts at the same time, the drops of each are not known"
	noMarker      = "boundary is always syscall"

	calledInstead = "a program goes over the map instead"
	openInstead   = "the descriptors of all processes are searched instead"
)

// commonHooks serve both plans. tcp_state comes last of the hooks that fire on their own,
// with the program that makes up for its skipped runs. It creates the connections, which
// must not happen before everything else that belongs to them is attached. The kernel
// runs programs in the order in which they were attached.
func commonHooks() []hook {
	return []hook{
		btfHook("tcp_segment", "tcp_probe", "arrived, arrived_last, acked (TCP)"),
		syscallHook("accept_exit", "sys_exit_accept", "accepted"),
		syscallHook("accept4_exit", "sys_exit_accept4", "accepted"),
		syscallHook("close_enter", "sys_enter_close", "end of a unix connection"),
		syscallHook("shutdown_enter", "sys_enter_shutdown", "end of a unix connection"),
		optional(btfHook("process_exec", "sched_process_exec", "names of processes"), noProcesses),
		syscallHook("connect_enter", "sys_enter_connect", "calls that are refused immediately"),
		syscallHook("connect_exit", "sys_exit_connect", "calls that are refused immediately"),
		btfHook("tcp_state", "inet_sock_set_state", "established, end of a TCP connection"),
		btfHook("tcp_state_skipped", "inet_sock_set_state", "the same, if the kernel skipped a run"),
		optional(mapHook("idle_elem", "bpf_map_elem", quiet), calledInstead),
		unless(callHook("idle_unix", quietUnix), "idle_elem"),
		optional(mapHook("gone_elem", "bpf_map_elem", killed), calledInstead),
		unless(callHook("gone_unix", killed), "gone_elem"),
		optional(iterHook("tcp_listening", "tcp", "finds listening sockets, whose connections are those of servers"), noExisting),
		optional(iterHook("files_listening", "task_file", "the same, in other network namespaces"), noExisting),
		optional(iterHook("tcp_existing", "tcp", "finds TCP connections older than the agent"), noExisting),
		optional(iterHook("files_existing", "task_file", "finds TCP connections older than the agent in other network namespaces"), noExisting),
		optional(iterHook("unix_existing", "unix", "finds unix connections older than the agent"), noExisting),
		optional(mapHook("see_elem", "bpf_map_elem", pools), openInstead),
		unless(optional(iterHook("see_open", "task_file", pools), noPools), "see_elem"),
		optional(iterHook("see_files", "task_file", "worker pools: listening sockets"), noPools),
		optional(tellsListener(btfHook(DiscardProgram, "kfree_skb", "connection attempts that a listener dropped")), noDrops),
		optional(hook{program: MarkProgram, Name: "uprobe", purpose: "marker: the server calls the application", has: uprobes}, noMarker),
	}
}

var (
	readCalls  = []string{"read", "readv", "recvfrom", "recvmsg", "recvmmsg", "splice"}
	writeCalls = []string{"write", "writev", "sendto", "sendmsg", "sendmmsg", "sendfile64", "splice"}
)

func socketHooks() []hook {
	sendEnter := optional(btfHook("send_enter", "tcp_sendmsg_locked", "write_first (TCP)"), "the function of the same name is used instead")
	sendFunction := optional(functionHook("send_function", "tcp_sendmsg_locked", "write_first (TCP)"), "the entry of the write system calls is used instead")
	hooks := []hook{
		btfHook("recv_exit", "sock_recv_length", "read_first, read_last"),
		seesSendfile(btfHook("send_exit", "sock_send_length", "write_last")),
		optional(btfHook("data_ready", "sk_data_ready", "arrived, write_first (unix)"), noUnixArrival),
		sendEnter,
		unless(sendFunction, "send_enter"),
		optional(btfHook("mptcp_sends", "mptcp_sendmsg_frag", "write_first (MPTCP)"), noMultipath),
	}
	for _, call := range writeCalls {
		hooks = append(hooks, unless(syscallHook("call_enter", "sys_enter_"+call, "write_first"), "send_enter", "send_function"))
	}
	hooks = append(hooks,
		optional(mapHook("idle_tcp", "bpf_sk_storage_map", quiet), openInstead),
		unless(iterHook("idle_files", "task_file", quiet), "idle_tcp"),
		optional(mapHook("see_tcp", "bpf_sk_storage_map", pools), openInstead))
	return append(hooks, commonHooks()...)
}

// seesSendfile requires more of the kernel than the tracepoint: before 6.5 sendfile did
// not pass through it.
func seesSendfile(h hook) hook {
	tracepoint := h.has
	h.has = func(k *kernel) error {
		if err := tracepoint(k); err != nil {
			return err
		}
		if function("splice_to_socket")(k) != nil {
			return lacks("the kernel is older than 6.5: sendfile does not reach the tracepoint")
		}
		return nil
	}
	return h
}

func SyscallHooks() []hook {
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
	hooks = append(hooks, commonHooks()...)
	return append(hooks, unless(callHook("idle_tcp", quietTCP), "idle_elem"))
}

// tellsListener requires that the tracepoint reports which socket dropped a packet, as it
// does since 6.11.
func tellsListener(h hook) hook {
	tracepoint := h.has
	h.has = func(k *kernel) error {
		if err := tracepoint(k); err != nil {
			return err
		}
		var t *btf.Typedef
		if err := k.types.TypeByName("btf_trace_kfree_skb", &t); err != nil {
			return lacks("the kernel has no tracepoint kfree_skb")
		}
		p, _ := t.Type.(*btf.Pointer)
		if p == nil {
			return lacks("the tracepoint kfree_skb has an unknown format")
		}
		// one parameter is the program's own
		if f, ok := p.Target.(*btf.FuncProto); !ok || len(f.Params) < 5 {
			return lacks("the kernel is older than 6.11: the tracepoint kfree_skb does not report the socket")
		}
		return nil
	}
	return h
}

func hooksOf(p Plan) []hook {
	if p == PlanSocket {
		return socketHooks()
	}
	return SyscallHooks()
}

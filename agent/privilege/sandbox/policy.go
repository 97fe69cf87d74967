package sandbox

import "golang.org/x/sys/unix"

// rule allows a system call depending on one of its arguments, counted from 0.
type rule struct {
	name     string
	argument uint32
	one      []uint32 // the argument is one of these
	without  uint32   // the argument has none of these bits
	with     uint32   // the argument has one of these bits
}

// only allows a call if an argument is one of the values.
func only(name string, argument uint32, values ...uint32) rule {
	return rule{name: name, argument: argument, one: values}
}

// without allows a call if an argument has none of the bits.
func without(name string, argument uint32, bits uint32) rule {
	return rule{name: name, argument: argument, without: bits}
}

// allowed returns the calls that are allowed with any arguments. They cost
// almost nothing, because the kernel caches them in a table (Linux 5.11).
func allowed() []string {
	names := []string{
		// the runtime: memory, threads, clocks, signals
		"munmap", "madvise", "brk", "mincore", "futex", "sched_yield", "sched_getaffinity",
		"nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "restart_syscall",
		"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack",
		"timer_create", "timer_settime", "timer_delete",
		"set_robust_list", "rseq", "gettid", "getpid", "getppid", "getrandom",
		"exit", "exit_group", "wait4", "waitid",
		// files: opening them decides which ones and how
		"read", "readv", "pread64", "write", "writev", "lseek", "close", "fcntl",
		"fstat", "statx", "readlinkat", "getdents64", "statfs", "fstatfs", "getcwd", "faccessat", "faccessat2",
		"openat2", // only used with O_PATH here; a filter cannot see its flags
		"dup", "dup3", "pipe2", "epoll_create1", "epoll_ctl", "epoll_pwait", "eventfd2", "ppoll", "pselect6",
		// the network: only the configuration decides about the peers
		"connect", "bind", "accept4", "shutdown", "socketpair",
		"getsockname", "getpeername", "setsockopt", "getsockopt",
		"sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg",
		// the identity and the resources of the process
		"getuid", "geteuid", "getgid", "getegid", "getgroups", "capget", "getrusage", "uname", "sysinfo", "getpriority",
		"pidfd_open", // needed by os.FindProcess; sending signals with it is not allowed
	}
	return append(names, ofArchitecture...)
}

// conditional returns the calls that are allowed with certain arguments. own is
// the process id.
func conditional(own int) []rule {
	return []rule{
		only("bpf", 0, bpfCommands...),
		// Threads, but no processes.
		{name: "clone", argument: 0, with: unix.CLONE_THREAD},
		// The agent writes no files.
		without("openat", 2, unix.O_WRONLY|unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC),
		// No memory becomes executable.
		without("mmap", 2, unix.PROT_EXEC),
		without("mprotect", 2, unix.PROT_EXEC),
		only("socket", 0, unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK),
		only("ioctl", 1, requests...),
		// Signals to itself.
		only("kill", 0, uint32(own)),
		only("tgkill", 0, uint32(own)),
		// Markers are attached to servers that start later. Before Linux 6.6
		// that needs a perf event, without a group and without a control group.
		// The process that opens the events has this filter as well.
		only("perf_event_open", 4, unix.PERF_FLAG_FD_CLOEXEC),
	}
}

// bpfCommands use existing maps and attach existing programs. None of them
// loads a program.
var bpfCommands = []uint32{
	unix.BPF_MAP_LOOKUP_ELEM, unix.BPF_MAP_UPDATE_ELEM, unix.BPF_MAP_DELETE_ELEM, unix.BPF_MAP_GET_NEXT_KEY,
	unix.BPF_MAP_LOOKUP_AND_DELETE_ELEM,
	unix.BPF_MAP_LOOKUP_BATCH, unix.BPF_MAP_LOOKUP_AND_DELETE_BATCH, unix.BPF_MAP_UPDATE_BATCH, unix.BPF_MAP_DELETE_BATCH,
	unix.BPF_OBJ_GET_INFO_BY_FD,
	unix.BPF_LINK_CREATE, unix.BPF_LINK_DETACH, // for markers
	unix.BPF_ITER_CREATE,   // for snapshots
	unix.BPF_PROG_TEST_RUN, // runs the agent's own programs that go over a map
}

// requests are the allowed requests of ioctl: user namespaces, the state of a
// terminal. Faking terminal input (TIOCSTI) and taking over a terminal are not
// among them.
var requests = []uint32{
	unix.NS_GET_USERNS, unix.NS_GET_PARENT, unix.NS_GET_OWNER_UID,
	unix.TCGETS, unix.TCSETS, unix.TCSETSW, unix.TCSETSF, unix.TIOCGWINSZ,
	unix.PERF_EVENT_IOC_ENABLE, unix.PERF_EVENT_IOC_DISABLE, unix.PERF_EVENT_IOC_SET_BPF, // for markers
}

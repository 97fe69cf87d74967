package foreign

import (
	"errors"
	"os"
	"strconv"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"

	"lapwing/probes/foreign/elffile"
)

// The reader is this program under another name. It is recognized here, before main, so
// that tests and tools that run an agent also have a reader.
func init() {
	if len(os.Args) == 1 && os.Args[0] == readerName {
		os.Exit(serve(0))
	}
}

// misbehave is what tests let a reader do once it is locked in.
var misbehave func()

// serve answers one question that comes through a socket.
func serve(socket int) int {
	if err := limit(); err != nil {
		return reply(socket, answer{Refused: NoReader, Detail: err.Error()})
	}
	var q question
	place, err := Receive(socket, &q)
	if err != nil {
		return 1 // the agent is gone
	}
	return reply(socket, read(place, q))
}

func reply(socket int, a answer) int {
	if err := Send(socket, a, -1); err != nil {
		return 1
	}
	return 0
}

// read opens the file, gives up everything that is no longer needed, and only then looks
// at the content.
func read(place int, q question) answer {
	fd, size, err := reopen(place)
	if err != nil {
		return refusal(err)
	}
	id, err := ownID(fd)
	if err != nil {
		return answer{Refused: Unreachable, Detail: err.Error()}
	}
	if err := lockIn(); err != nil {
		return answer{Refused: NoReader, Detail: err.Error()}
	}
	if misbehave != nil {
		misbehave()
	}
	found, err := elffile.Functions(content(fd), size, q.Functions, elffile.DefaultBudget)
	if err != nil {
		a := refusal(err)
		a.File = id
		return a
	}
	return answer{File: id, Found: found}
}

func refusal(err error) answer {
	a := answer{Refused: ReasonOf(err), Detail: err.Error()}
	switch {
	case errors.Is(err, elffile.ErrBudget), errors.Is(err, elffile.ErrRepeats):
		a.Refused = Budget
	case errors.Is(err, elffile.ErrNotELF), errors.Is(err, elffile.ErrBounds):
		a.Refused = NotELF
	}
	return a
}

// reopen opens the file behind a descriptor that is only a place (O_PATH).
func reopen(place int) (fd int, size int64, err error) {
	path := "/proc/self/fd/" + strconv.Itoa(place)
	fd, err = unix.Open(path, unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, 0, refuse(Unreachable, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return -1, 0, refuse(Unreachable, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return -1, 0, refuse(NotRegular, nil)
	}
	return fd, st.Size, nil
}

// content is the content of an open file.
type content int

func (c content) ReadAt(p []byte, at int64) (int, error) {
	for done := 0; done < len(p); {
		n, err := unix.Pread(int(c), p[done:], at+int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, err
		case n == 0:
			return done, errEnd
		default:
			done += n
		}
	}
	return len(p), nil
}

// errEnd means that the file was truncated after its size was read.
var errEnd = refuse(NotELF, elffile.ErrBounds)

// The limits of a reader. The Go runtime reserves address space in steps of 64 MiB.
// GOMEMLIMIT and the budget of a file keep the used memory far below.
var limits = map[int]uint64{
	unix.RLIMIT_CORE:   0,
	unix.RLIMIT_CPU:    2, // seconds
	unix.RLIMIT_DATA:   256 << 20,
	unix.RLIMIT_FSIZE:  0,
	unix.RLIMIT_NOFILE: 16,
}

// limit sets what the process may use. If memory is short, the process is the first to be
// killed.
func limit() error {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) // some containers forbid it
	return Limit(limits)
}

// Limit permanently sets what the process may use of each resource.
func Limit(resources map[int]uint64) error {
	for resource, n := range resources {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return err
		}
	}
	return nil
}

// lockIn gives up all capabilities, the opening of files, and every system call that is
// not needed to read the open files.
func lockIn() error {
	if err := cap.ResetAmbient(); err != nil {
		return err
	}
	if err := cap.NewSet().SetProc(); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{}); err != nil {
		return err
	}
	return seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: policy})
}

// policy allows what the Go runtime needs, and pread and sendmsg. The runtime can do
// without names of memory (prctl).
var policy = seccomp.Policy{
	DefaultAction: seccomp.ActionKillProcess,
	Syscalls: []seccomp.SyscallGroup{
		{Action: seccomp.ActionAllow, Names: []string{
			"pread64", "sendmsg", "close",
			"mmap", "munmap", "mprotect", "madvise",
			"futex", "sched_yield", "nanosleep", "clock_gettime", "getpid", "gettid", "sched_getaffinity",
			"epoll_create1", "epoll_ctl", "epoll_pwait", "eventfd2", "write", "read",
			"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "tgkill",
			"timer_create", "timer_settime", "timer_delete",
			"rseq", "set_robust_list", "exit", "exit_group",
		}, NamesWithCondtions: []seccomp.NameWithConditions{
			// A thread, not a process.
			{Name: "clone", Conditions: []seccomp.Condition{{Argument: 0, Operation: seccomp.BitsSet, Value: unix.CLONE_THREAD}}},
		}},
		{Action: seccomp.ActionErrno, Names: []string{"prctl", "clone3"}},
	},
}

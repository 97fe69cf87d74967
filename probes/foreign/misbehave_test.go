package foreign

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/probes/foreign/elffile"
)

// Tests make readers misbehave with these variables. The agent does not pass them on to
// its own readers.
const (
	hangEnv   = "FOREIGN_TEST_MISBEHAVE" // misbehaves once it has the file
	lockedEnv = "FOREIGN_TEST_LOCKED"    // acts as soon as it is locked in
)

// arm runs here because package variables are initialized before the reader starts.
var _ = arm()

func arm() bool {
	if how := os.Getenv(hangEnv); how != "" {
		misbehave = func() { misbehaveBy(how) }
	}
	if what := os.Getenv(lockedEnv); what != "" {
		if limit() != nil || lockIn() != nil {
			os.Exit(3)
		}
		try := attempts[what]
		if try == nil {
			try = func() { _, _ = unix.Read(0, make([]byte, 1)) }
		}
		try()
		os.Exit(4)
	}
	return true
}

func misbehaveBy(how string) {
	switch how {
	case "panic":
		panic(how)
	case "garbage":
		_, _ = unix.Write(0, []byte("{{{"))
	case "lie":
		_ = Send(0, answer{File: FileID{1, 1}, Found: map[string]elffile.Spot{"main.marked": {Offset: 1}}}, -1)
	case "exit":
	default:
		time.Sleep(time.Hour)
	}
	os.Exit(0)
}

// attempts are what an attacker who took over a reader would do.
var attempts = map[string]func(){
	"open":   func() { _, _ = unix.Open("/etc/passwd", unix.O_RDONLY, 0) },
	"socket": func() { _, _ = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0) },
	"exec":   func() { _ = unix.Exec("/bin/true", []string{"true"}, nil) },
	"fork":   func() { _, _, _ = unix.RawSyscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0) },
	"kill":   func() { _ = unix.Kill(1, 0) },
	"ptrace": func() { _ = unix.PtraceAttach(1) },
	"setuid": func() { _, _, _ = unix.RawSyscall(unix.SYS_SETUID, 0, 0, 0) },
}

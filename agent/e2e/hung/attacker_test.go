package hung

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/agent/e2e/harness"
)

// deafVariable is the environment variable that makes this test binary an
// attacker. Its value is the file.
const deafVariable = "LAPWING_HUNG_FILE"

func TestMain(m *testing.M) {
	if file := os.Getenv(deafVariable); file != "" {
		attack(file)
	}
	os.Exit(harness.Main(m))
}

// nobody is the user of the attackers.
const nobody = 65534

// attacker is a server whose memory is locked before it listens, so that no
// other process has looked at it before.
type attacker struct {
	*harness.Process
	address string
}

// startAttacker starts an unprivileged server with a file of its own that does
// not answer, and waits until the server holds its lock.
func startAttacker(t *testing.T, name string) *attacker {
	t.Helper()
	file := mountDeafFile(t)
	program := filepath.Join(harness.OpenDir(t), name)
	raw, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, raw, 0o755))
	cmd := exec.Command(program)
	cmd.Env = []string{deafVariable + "=" + file.path, "GODEBUG=asyncpreemptoff=1"}
	cmd.Dir = "/"
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	a := &attacker{Process: harness.StartAs(t, cmd, nobody)}
	// The file must answer before the test waits for the end of the attacker.
	t.Cleanup(file.release)
	a.address, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	a.address = a.address[:len(a.address)-1]
	harness.Eventually(t, harness.Slow(20*time.Second), "the attacker holds its lock", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		err := exec.CommandContext(ctx, "cat", fmt.Sprintf("/proc/%d/cmdline", a.PID())).Run()
		return err != nil && ctx.Err() != nil
	})
	harness.AwaitListener(t, a.Process, a.address)
	return a
}

// ask sends one request.
func (a *attacker) ask(t *testing.T) {
	t.Helper()
	client := http.Client{Timeout: harness.Slow(20 * time.Second), Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + a.address + "/")
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, http.StatusOK, resp.StatusCode)
}

// attack is the attacker. Once its memory is locked, it must not allocate
// memory or wait for its threads that do.
func attack(file string) {
	debug.SetGCPercent(-1)
	runtime.GOMAXPROCS(4)
	listener := try(unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0))
	must(unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	at := try(unix.Getsockname(listener)).(*unix.SockaddrInet4)
	fd := try(unix.Open(file, unix.O_RDWR, 0))
	must(unix.Fstat(fd, new(unix.Stat_t))) // before this, the kernel does not know its size
	mem := try(unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED))
	mem[0] = 1 // to be written back when it is unmapped
	go answerAll(listener)
	fmt.Printf("127.0.0.1:%d\n", at.Port)
	go lockMemory(mem)
	select {}
}

const okResponse = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"

func answerAll(listener int) {
	runtime.LockOSThread()
	var buf [4096]byte
	response := []byte(okResponse)
	pause := unix.NsecToTimespec(int64(300 * time.Millisecond)) // the other thread is faster
	_, _, _ = syscall.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&pause)), 0, 0)
	_, _, _ = syscall.RawSyscall(unix.SYS_LISTEN, uintptr(listener), 16, 0)
	for {
		fd, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0, 0, 0, 0)
		if errno != 0 {
			continue
		}
		_, _, _ = syscall.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
		_, _, _ = syscall.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&response[0])), uintptr(len(response)))
		_, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	}
}

// lockMemory maps something else over the file. The kernel writes the file back
// while it holds the lock, and waits.
func lockMemory(mem []byte) {
	runtime.LockOSThread()
	_, _, _ = syscall.RawSyscall6(unix.SYS_MMAP, uintptr(unsafe.Pointer(&mem[0])), 4096, unix.PROT_READ,
		unix.MAP_FIXED|unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uintptr(0), 0)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func try[T any](v T, err error) T {
	must(err)
	return v
}

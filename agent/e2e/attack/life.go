package attack

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Life is one process of the user. A seed determines what it does until its
// time is over.
type Life struct {
	Seed    uint64
	Dir     string        // for its files
	Time    time.Duration // how long it lasts
	Victims []string      // servers of other users, which never get a complete request from it
}

// deed is something that a process does once. A pause follows it.
type deed func(rng *rand.Rand, l Life) error

// Live does two or three things at the same time, again and again. It may end
// the process early, or replace it by another life.
func (l Life) Live() {
	rng := rand.New(rand.NewPCG(l.Seed, 0))
	ctx, end := context.WithTimeout(context.Background(), l.Time)
	defer end()
	setCommand(rng)
	doings := []deed{tcpConversation, unixConversation, molest, files, threads}
	var all sync.WaitGroup
	for range 2 + rng.IntN(2) {
		do, own := pick(rng, doings), rand.New(rand.NewPCG(l.Seed, rng.Uint64()))
		all.Go(func() {
			for ctx.Err() == nil {
				_ = do(own, l) // what fails is skipped
				time.Sleep(time.Duration(20+own.IntN(500)) * time.Millisecond)
			}
		})
	}
	switch sudden := time.Duration(rng.Int64N(int64(l.Time))); rng.IntN(6) {
	case 0:
		time.Sleep(sudden)
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	case 1:
		time.Sleep(sudden)
		l.again(rng, l.Time-sudden)
	}
	all.Wait()
}

// again executes the program in the same process, under another identity.
func (l Life) again(rng *rand.Rand, left time.Duration) {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	next := Life{Seed: rng.Uint64(), Dir: l.Dir, Time: left, Victims: l.Victims}
	_ = unix.Exec(exe, next.Args(rng), os.Environ())
}

// Args returns the command line of a life, with a crafted name.
func (l Life) Args(rng *rand.Rand) []string {
	return append([]string{Argument(rng), fmt.Sprint(l.Seed), l.Time.String(), l.Dir}, l.Victims...)
}

// setCommand gives the process a command name.
func setCommand(rng *rand.Rand) {
	name := append([]byte(Argument(rng)), 0)
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0)
}

// threads starts a thread with a name of its own, which ends.
func threads(rng *rand.Rand, _ Life) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		setCommand(rng)
	}()
	<-done
	return nil
}

func tcpConversation(rng *rand.Rand, _ Life) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	l := listener.(*net.TCPListener)
	port := l.Addr().(*net.TCPAddr).Port
	if raw, err := l.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 8) })
	}
	client := rand.New(rand.NewPCG(rng.Uint64(), 1))
	go func() {
		if client.IntN(4) == 0 {
			fastOpen(client, port)
			return
		}
		if c, err := net.DialTimeout("tcp", l.Addr().String(), moment); err == nil {
			talk(client, c.(conn))
		}
	}()
	return takeOne(rng, l)
}

func unixConversation(rng *rand.Rand, life Life) error {
	path := filepath.Join(life.Dir, noise(rng, 1+rng.IntN(40)))
	if rng.IntN(2) == 0 {
		path = "@" + pick(rng, crafted) + noise(rng, rng.IntN(60))
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	client := rand.New(rand.NewPCG(rng.Uint64(), 1))
	go func() {
		if c, err := net.DialTimeout("unix", path, moment); err == nil {
			talk(client, c.(conn))
		}
	}()
	return takeOne(rng, l)
}

// takeOne serves one connection, or leaves it in the backlog.
func takeOne(rng *rand.Rand, l interface {
	net.Listener
	SetDeadline(time.Time) error
}) error {
	defer func() { _ = l.Close() }()
	_ = l.SetDeadline(time.Now().Add(moment))
	if rng.IntN(10) == 0 {
		time.Sleep(50 * time.Millisecond)
		return nil
	}
	c, err := l.Accept()
	if err != nil {
		return err
	}
	serve(rng, c.(conn))
	return nil
}

// molest is a client of another user's server. It never sends a complete
// request, because that would be counted as one.
func molest(rng *rand.Rand, life Life) error {
	if len(life.Victims) == 0 {
		return nil
	}
	c, err := net.DialTimeout("tcp", pick(rng, life.Victims), moment)
	if err != nil {
		return err
	}
	_ = c.SetDeadline(time.Now().Add(50 * time.Millisecond))
	text := pick(rng, []string{"", "G", "GET /ha", "GET / HTTP/1.1\r\nHost: h\r\nX-", "\x16\x03\x01", "\x00\x01\x02\x03\r\n\r\n", "PRI * HTTP/2.0\r\n", "POST / HTT"})
	if _, err := c.Write([]byte(text)); err != nil {
		return err
	}
	part(rng, c.(conn))
	return nil
}

// files maps what looks like a module of a server, and replaces the file.
func files(rng *rand.Rand, l Life) error {
	name := pick(rng, []string{"mod_wsgi_x.so", "mod_passenger.so", "libphp8.2.so", "mod_proxy.so"})
	file := filepath.Join(l.Dir, fmt.Sprintf("%d-%s", os.Getpid(), name))
	defer func() { _ = os.Remove(file) }()
	if err := pick(rng, modules)(rng, file); err != nil {
		return err
	}
	at, err := Map(file)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(at) }()
	for range rng.IntN(3) {
		time.Sleep(time.Duration(rng.IntN(800)) * time.Millisecond)
		_ = pick(rng, replacements)(rng, file)
	}
	time.Sleep(time.Duration(rng.IntN(800)) * time.Millisecond)
	return nil
}

// modules are files that may be mapped.
var modules = []func(rng *rand.Rand, file string) error{
	func(_ *rand.Rand, file string) error { return Module(file, "wsgi_start_request") },
	func(_ *rand.Rand, file string) error { return Module(file, "ap_run_handler") },
	func(_ *rand.Rand, file string) error { return SparseModule(file, 4095, 63<<20) },
	func(rng *rand.Rand, file string) error {
		return SparseModule(file, 1+rng.IntN(8), uint64(rng.Int64N(300<<20)))
	},
	func(rng *rand.Rand, file string) error { // truncated, or with changed bytes
		if err := Module(file, "wsgi_start_request"); err != nil {
			return err
		}
		raw, err := read(file)
		if err != nil {
			return err
		}
		for range rng.IntN(20) {
			raw[rng.IntN(len(raw))] = byte(rng.Uint32())
		}
		return os.WriteFile(file, raw[:1+rng.IntN(len(raw))], 0o755)
	},
}

// read reads the start of a file, unless the file was replaced: a link to
// /dev/zero has no end.
func read(file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if len(raw) == 0 {
		return nil, cmp.Or(err, io.ErrUnexpectedEOF)
	}
	return raw, err
}

// replacements replace a mapped file.
var replacements = []func(rng *rand.Rand, file string) error{
	func(_ *rand.Rand, file string) error { return os.Remove(file) },
	func(rng *rand.Rand, file string) error { return os.Truncate(file, rng.Int64N(4096)) },
	func(_ *rand.Rand, file string) error {
		return replace(file, func() error { return unix.Mkfifo(file, 0o666) })
	},
	func(_ *rand.Rand, file string) error {
		return replace(file, func() error { return os.Mkdir(file, 0o777) })
	},
	func(rng *rand.Rand, file string) error {
		to := pick(rng, []string{"/dev/pts/0", "/dev/zero", "/dev/tty", file, "/proc/self/mem", "/etc/shadow"})
		return replace(file, func() error { return os.Symlink(to, file) })
	},
	func(rng *rand.Rand, file string) error {
		return replace(file, func() error { return pick(rng, modules)(rng, file) })
	},
	openTerminal,
}

func replace(file string, by func() error) error {
	_ = os.Remove(file)
	return by()
}

// openTerminal replaces the file by a link to a terminal of the user, and hangs
// the terminal up.
func openTerminal(_ *rand.Rand, file string) error {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = master.Close() }()
	_ = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return err
	}
	if err := replace(file, func() error { return os.Symlink(fmt.Sprintf("/dev/pts/%d", number), file) }); err != nil {
		return err
	}
	time.Sleep(500 * time.Millisecond)
	_, _ = master.Write([]byte{3}) // ^C
	return nil
}

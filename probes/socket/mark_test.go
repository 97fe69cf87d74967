package socket

import (
	"debug/elf"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
	"lapwing/probes/uprobe"
)

// The functions that the tests mark: a server's handler, and a gateway that the handler
// calls. Their values only keep the compiler from merging them.

//go:noinline
func handlerForTest(n int) int { return n + 1 }

//go:noinline
func gatewayForTest(n int) int { return n + 2 }

// framedForTest has a frame: its code starts with the check of the stack, and then saves a
// register.
//
//go:noinline
func framedForTest(n int) int { return handlerForTest(n) + gatewayForTest(n) }

// markFunction marks a function of this program.
func markFunction(t testing.TB, p *Probe, f func(int) int, rank uint8) io.Closer {
	return markCode(t, p, uint64(runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Entry()), rank)
}

func markCode(t testing.TB, p *Probe, address uint64, rank uint8) io.Closer {
	self, err := elf.Open("/proc/self/exe")
	require.NoError(t, err)
	defer func() { _ = self.Close() }()
	for _, s := range self.Progs {
		if s.Type == elf.PT_LOAD && s.Flags&elf.PF_X != 0 && address >= s.Vaddr && address < s.Vaddr+s.Filesz {
			mark, err := p.Mark("/proc/self/exe", address-s.Vaddr+s.Off, rank)
			require.NoError(t, err)
			return mark
		}
	}
	require.Fail(t, "the function is in no segment")
	return nil
}

// thread is a thread of the server, which has an OS thread of its own for its whole life.
type thread struct {
	steps chan func()
	done  chan struct{}
}

func newThread(t *testing.T) *thread {
	th := &thread{make(chan func()), make(chan struct{})}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with it
		for step := range th.steps {
			step()
			th.done <- struct{}{}
		}
	}()
	t.Cleanup(func() { close(th.steps) })
	return th
}

func (th *thread) do(step func()) {
	th.steps <- step
	<-th.done
}

// call is the time at which the application was called.
type call struct{ before, after uint64 }

func (th *thread) call(f func(int) int) (c call) {
	th.do(func() {
		c.before = monotonic()
		f(1)
		c.after = monotonic()
	})
	return c
}

func (th *thread) handler() call { return th.call(handlerForTest) }
func (th *thread) gateway() call { return th.call(gatewayForTest) }

func monotonic() uint64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return uint64(ts.Nano())
}

// cable is a connection. The server's end is a plain descriptor.
type cable struct {
	t      *testing.T
	name   string
	client net.Conn
	fd     int
}

func connect(t *testing.T, l net.Listener, name string) *cable {
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	server, err := l.Accept()
	require.NoError(t, err)
	file, err := server.(*net.TCPConn).File()
	require.NoError(t, err)
	require.NoError(t, server.Close())
	t.Cleanup(func() { _, _ = client.Close(), file.Close() })
	return &cable{t, name, client, int(file.Fd())}
}

// send lets the client send bytes, and does not wait.
func (l *cable) send(text string) {
	_, err := io.WriteString(l.client, text)
	require.NoError(l.t, err)
}

func (l *cable) read(th *thread) {
	th.do(func() {
		n, err := unix.Read(l.fd, make([]byte, 4096))
		assert.NoError(l.t, err)
		assert.Positive(l.t, n)
	})
}

// receive sends a complete request and lets the thread read it.
func (l *cable) receive(th *thread) {
	l.send("GET /" + l.name + " HTTP/1.1\r\nHost: x\r\n\r\n")
	l.read(th)
}

func (l *cable) answer(th *thread) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	th.do(func() {
		_, err := unix.Write(l.fd, []byte(ok))
		assert.NoError(l.t, err)
	})
	_, err := io.ReadFull(l.client, make([]byte, len(ok)))
	require.NoError(l.t, err)
}

func (l *cable) close() {
	_ = l.client.Close()
	_ = unix.Shutdown(l.fd, unix.SHUT_RDWR)
}

// stage runs a case: two threads and as many connections as needed. It notes which call
// must mark which request.
type stage struct {
	t        *testing.T
	name     string
	listener net.Listener
	one, two *thread
	want     map[string]call // by path; the zero call means no mark
}

func (s *stage) conn(name string) *cable {
	return connect(s.t, s.listener, strings.ReplaceAll(s.name, " ", "-")+"/"+name)
}

// known makes th a thread that has read requests and called the application.
func (s *stage) known(th *thread) {
	l := s.conn("known")
	for range 2 {
		l.receive(th)
		th.handler()
		l.answer(th)
	}
}

func (s *stage) expect(l *cable, c call) { s.want["/"+l.name] = c }

// markCases define which call belongs to which request.
var markCases = map[string]func(*stage){
	"a thread that does all": func(s *stage) {
		a := s.conn("a")
		a.receive(s.one)
		s.expect(a, s.one.handler())
		a.answer(s.one)
	},
	"an event loop that answers later": func(s *stage) {
		s.known(s.one)
		a, b, c := s.conn("a"), s.conn("b"), s.conn("c")
		for _, l := range []*cable{a, b, c} {
			l.receive(s.one)
			s.expect(l, s.one.handler())
		}
		b.answer(s.one)
		c.answer(s.one)
		a.answer(s.one)
	},
	"an event loop that reads all before it calls": func(s *stage) {
		s.known(s.one)
		a, b := s.conn("a"), s.conn("b")
		a.receive(s.one)
		b.receive(s.one)
		s.one.handler()
		s.one.handler()
		a.answer(s.one)
		b.answer(s.one)
		s.expect(a, call{})
		s.expect(b, call{})
	},
	"handed to a worker": func(s *stage) {
		a, b := s.conn("a"), s.conn("b")
		a.receive(s.one)
		b.receive(s.one)
		s.expect(a, s.two.handler())
		a.answer(s.two)
		s.expect(b, s.two.handler())
		b.answer(s.two)
	},
	"handed to a worker that calls twice before it answers": func(s *stage) {
		a, b := s.conn("a"), s.conn("b")
		a.receive(s.one)
		b.receive(s.one)
		s.two.handler()
		s.two.handler()
		a.answer(s.two)
		b.answer(s.two)
		s.expect(a, call{})
		s.expect(b, call{})
	},
	"another thread answers": func(s *stage) {
		s.known(s.one)
		s.known(s.two)
		a, b := s.conn("a"), s.conn("b")
		a.receive(s.one)
		s.one.handler()
		a.answer(s.two)
		s.expect(a, call{})
		b.receive(s.one)
		s.expect(b, s.one.handler())
		b.answer(s.one)
	},
	"a request that is never answered": func(s *stage) {
		s.known(s.one)
		a, b := s.conn("a"), s.conn("b")
		a.receive(s.one)
		s.one.handler()
		a.close()
		b.receive(s.one)
		s.expect(b, s.one.handler())
		b.answer(s.one)
	},
	"a request that is answered without a call": func(s *stage) {
		s.known(s.one)
		a, b := s.conn("a"), s.conn("b")
		a.receive(s.one)
		a.answer(s.one)
		s.expect(a, call{})
		b.receive(s.one)
		s.expect(b, s.one.handler())
		b.answer(s.one)
	},
	"the server calls itself again": func(s *stage) {
		s.known(s.one)
		a := s.conn("a")
		a.receive(s.one)
		s.expect(a, s.one.handler())
		s.one.handler()
		a.answer(s.one)
	},
	"a gateway inside of the server": func(s *stage) {
		a := s.conn("a")
		for range 2 { // the first of a thread, and a later one
			a.receive(s.one)
			s.one.handler()
			s.expect(a, s.one.gateway())
			a.answer(s.one)
		}
	},
	"a handler inside of a gateway": func(s *stage) {
		s.known(s.one)
		a := s.conn("a")
		a.receive(s.one)
		s.expect(a, s.one.gateway())
		s.one.handler()
		a.answer(s.one)
	},
	"the application reads the body": func(s *stage) {
		s.known(s.one)
		a := s.conn("a")
		a.send("POST /" + a.name + " HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
		a.read(s.one)
		s.expect(a, s.one.handler())
		time.Sleep(bodyPause)
		a.send("0123456789")
		a.read(s.one)
		a.answer(s.one)
	},
	"the server reads the body": func(s *stage) {
		s.known(s.one)
		a := s.conn("a")
		a.send("POST /" + a.name + " HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
		a.read(s.one)
		time.Sleep(bodyPause)
		a.send("0123456789")
		a.read(s.one)
		s.expect(a, s.one.handler())
		a.answer(s.one)
	},
}

// bodyPause is how long a client lets the server wait for the body.
const bodyPause = 30 * time.Millisecond

// TestMarkBelongsToItsRequest runs each case with scripted threads. A mark is assigned to
// the request that it belongs to, or to none.
func TestMarkBelongsToItsRequest(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p, err := Open(Options{Plan: plan})
		require.NoError(t, err)
		defer func() { require.NoError(t, p.Close()) }()
		playMarks(t, p, markCases)
	})
}

func playMarks(t *testing.T, p *Probe, cases map[string]func(*stage)) {
	handler, gateway := markFunction(t, p, handlerForTest, 1), markFunction(t, p, gatewayForTest, 2)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	want := map[string]map[string]call{}
	for name, play := range cases {
		s := &stage{t, name, l, newThread(t), newThread(t), map[string]call{}}
		play(s)
		want[name] = s.want
	}
	require.NoError(t, handler.Close())
	require.NoError(t, gateway.Close())
	got := &seen{port: uint16(l.Addr().(*net.TCPAddr).Port)}
	runOut(t, p, got)
	for name, requests := range want {
		t.Run(name, func(t *testing.T) { got.checkMarks(t, requests) })
	}
}

func (s *seen) checkMarks(t *testing.T, want map[string]call) {
	for path, c := range want {
		r, ok := s.last(path)
		if !assert.True(t, ok, "no record of %s", path) {
			continue
		}
		if c == (call{}) {
			assert.Zero(t, r.Marker, path)
			continue
		}
		assert.GreaterOrEqual(t, r.Marker, c.before, path)
		assert.LessOrEqual(t, r.Marker, c.after, path)
		if strings.Contains(r.head, "POST") {
			waited := time.Duration(r.ClientWait) >= bodyPause
			assert.Equal(t, r.Marker > r.ReadLast, waited, "client_wait is part of parse, and %s", time.Duration(r.ClientWait))
		}
	}
}

// last returns the last request for a path, as its server saw it.
func (s *seen) last(path string) (last seenRequest, ok bool) {
	for _, r := range s.finals() {
		if fields := strings.Fields(r.head); r.kind != wire.Call && len(fields) > 1 && fields[1] == path {
			last, ok = r, true
		}
	}
	return last, ok
}

// TestMarkByPerfEvent marks functions as on kernels before 6.6.
func TestMarkByPerfEvent(t *testing.T) {
	defer func(have func() error) { uprobe.HaveMultiLink = have }(uprobe.HaveMultiLink)
	uprobe.HaveMultiLink = func() error { return ebpf.ErrNotSupported }
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p, err := Open(Options{Plan: plan})
		require.NoError(t, err)
		defer func() { require.NoError(t, p.Close()) }()
		require.Equal(t, uprobe.ByPerfEvent, p.MarkBy())
		playMarks(t, p, markCases)
	})
}

// TestMarkThroughOthers lets another process open the events.
func TestMarkThroughOthers(t *testing.T) {
	defer func(have func() error) { uprobe.HaveMultiLink = have }(uprobe.HaveMultiLink)
	uprobe.HaveMultiLink = func() error { return ebpf.ErrNotSupported }
	raw, err := os.ReadFile(survey.UprobePMU + "/type")
	require.NoError(t, err)
	kind, err := strconv.ParseUint(strings.TrimSpace(string(raw)), 10, 32)
	require.NoError(t, err)
	opened := 0
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p, err := Open(Options{Plan: plan})
		require.NoError(t, err)
		defer func() { require.NoError(t, p.Close()) }()
		p.OpenUprobesBy(func(file *os.File, offset uint64) (*os.File, error) {
			opened++
			path, err := unix.BytePtrFromString(fmt.Sprintf("/proc/self/fd/%d", file.Fd()))
			require.NoError(t, err)
			attr := unix.PerfEventAttr{Type: uint32(kind), Size: unix.PERF_ATTR_SIZE_VER0 + 8, Ext1: uint64(uintptr(unsafe.Pointer(path))), Ext2: offset}
			fd, err := unix.PerfEventOpen(&attr, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)
			runtime.KeepAlive(path)
			return os.NewFile(uintptr(fd), "uprobe"), err
		})
		playMarks(t, p, markCases)
	})
	require.NotZero(t, opened)
}

func TestNoMarks(t *testing.T) {
	p, err := Open(Options{NoMarks: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	require.Equal(t, uprobe.ByNothing, p.MarkBy())
	_, err = p.Mark("/proc/self/exe", 1, 1)
	require.ErrorIs(t, err, ErrNoMarks)
}

// BenchmarkMark measures what a mark costs the marked function. An instruction that the
// kernel can emulate, such as the push after the stack check of a Go function, costs less
// than one that it must step over.
func BenchmarkMark(b *testing.B) {
	b.Run("none", func(b *testing.B) { callFramed(b) })
	entry := runtime.FuncForPC(reflect.ValueOf(framedForTest).Pointer()).Entry()
	memory, err := os.Open("/proc/self/mem")
	require.NoError(b, err)
	code := make([]byte, 7)
	_, err = memory.ReadAt(code, int64(entry))
	require.NoError(b, err)
	require.NoError(b, memory.Close())
	require.EqualValues(b, 0x55, code[6], "no push behind the check of the stack: %x", code)
	for name, have := range map[string]func() error{
		"perf event": func() error { return ebpf.ErrNotSupported }, "multi link": uprobe.HaveMultiLink,
	} {
		b.Run(name+"/emulated", func(b *testing.B) { benchmarkMark(b, have, uint64(entry)+6) })
		b.Run(name+"/stepped over", func(b *testing.B) { benchmarkMark(b, have, uint64(entry)) })
	}
}

func benchmarkMark(b *testing.B, have func() error, address uint64) {
	defer func(have func() error) { uprobe.HaveMultiLink = have }(uprobe.HaveMultiLink)
	uprobe.HaveMultiLink = have
	p, err := Open(Options{})
	require.NoError(b, err)
	defer func() { require.NoError(b, p.Close()) }()
	mark := markCode(b, p, address, 1)
	defer func() { require.NoError(b, mark.Close()) }()
	callFramed(b)
}

func callFramed(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := cpuTime()
	b.ResetTimer()
	for i := range b.N {
		framedForTest(i)
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-begin)/float64(b.N), "cpu-ns/op")
}

// cpuTime returns the processor time that this thread used, in nanoseconds.
func cpuTime() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return ts.Nano()
}

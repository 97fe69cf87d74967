package socket

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
)

// arrivalHook returns the hook that sees bytes arrive on such a connection.
func arrivalHook(p *Probe, network string) survey.Hook {
	used := func(h survey.Hook) bool {
		if network == "tcp" {
			return h.Program == "tcp_segment"
		}
		return (h.Program == "data_ready" || h.Program == "readable") && p.coll.Programs[h.Program] != nil
	}
	return p.plan.Hooks[slices.IndexFunc(p.plan.Hooks, used)]
}

// detachOne takes one program off its hook, as if the kernel skipped its runs.
func detachOne(t *testing.T, p *Probe, prog *ebpf.Program) {
	want, err := prog.Info()
	require.NoError(t, err)
	id, _ := want.ID()
	at := slices.IndexFunc(p.links, func(l link.Link) bool {
		info, err := l.Info()
		return err == nil && info.Program == id
	})
	require.GreaterOrEqual(t, at, 0, "not attached")
	require.NoError(t, p.links[at].Close())
	p.links = slices.Delete(p.links, at, at+1)
}

// TestMissedArrivalIsAbsent checks that an arrival that no program saw is absent: the
// previous one belongs to another request. On unix sockets the missed arrival is of bytes
// that are read at once: the reader can be faster than the program.
func TestMissedArrivalIsAbsent(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := open(t, Options{Plan: plan})
		tcp, unix := missArrivals(t, p, "tcp"), missArrivals(t, p, "unix")
		got := &seen{}
		runOut(t, p, ours{got})
		t.Run("tcp", func(t *testing.T) { tcp.check(t, got) })
		t.Run("unix", func(t *testing.T) { unix.check(t, got) })
	})
}

// missed is a connection on which some arrivals were missed.
type missed struct {
	network       string
	unread        bool   // a missed arrival was followed by one that was seen
	behind, after uint64 // when the last two requests were sent
}

func missArrivals(t *testing.T, p *Probe, network string) missed {
	m := missed{network: network, unread: network == "tcp"}
	l := newLine(t, listen(t, network))
	hook := arrivalHook(p, network)
	prog := p.coll.Programs[hook.Program]
	say := func(path string) { l.ask("/" + network + path) }
	answer := func(path string) { l.answer("/" + network + path) }
	say("/seen")
	answer("/seen")
	detachOne(t, p, prog)
	say("/missed")
	answer("/missed")
	if m.unread {
		say("/unread")
	}
	again, err := attachOne(hook.Name, prog)
	require.NoError(t, err)
	p.links = append(p.links, again)
	m.behind = monotonic()
	say("/behind")
	if m.unread {
		answer("/unread")
	}
	answer("/behind")
	m.after = monotonic()
	say("/after")
	answer("/after")
	return m
}

func (m missed) check(t *testing.T, got *seen) {
	arrived := func(path string) uint64 {
		r, ok := got.last("/" + m.network + path)
		require.True(t, ok, path)
		assert.LessOrEqual(t, r.Arrived, r.ReadFirst, path)
		assert.Equal(t, m.unread && path == "/behind", r.Marks&wire.MarkPipelined != 0, path)
		return r.Arrived
	}
	assert.NotZero(t, arrived("/seen"))
	assert.Zero(t, arrived("/missed"))
	if m.unread {
		assert.Zero(t, arrived("/unread"))
	}
	assert.Greater(t, arrived("/behind"), m.behind)
	assert.Greater(t, arrived("/after"), m.after)
}

// echo answers everything that it reads, until the end.
func echo(fd int) {
	defer func() { _ = unix.Close(fd) }()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	buf := make([]byte, 4096)
	for {
		if n, err := unix.Read(fd, buf); n <= 0 || err != nil {
			return
		}
		if _, err := unix.Write(fd, []byte(lineResponse)); err != nil {
			return
		}
	}
}

// pingPongTime limits the time on slow machines.
const pingPongTime = 2 * time.Second

// pingPong sends requests one after the other, as fast as answers come. It returns when
// each was sent: the request cannot have arrived earlier.
func pingPong(l *line, path string, requests int) (sent []uint64) {
	client := descriptor(l.t, l.client)
	go echo(descriptor(l.t, l.server))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	request, answer := []byte(lineRequest(path)), make([]byte, 4096)
	for begin := time.Now(); len(sent) < requests && time.Since(begin) < pingPongTime; {
		sent = append(sent, monotonic())
		_, err := unix.Write(client, request)
		require.NoError(l.t, err)
		n, err := unix.Read(client, answer)
		require.NoError(l.t, err)
		require.Len(l.t, lineResponse, n)
	}
	require.NoError(l.t, unix.Shutdown(client, unix.SHUT_RDWR))
	require.NoError(l.t, unix.Close(client))
	return sent
}

// TestArrivalsOfFastClient has both ends busy on processors of their own. Now and then
// the reader is faster than the program that learns of the arrival.
func TestArrivalsOfFastClient(t *testing.T) {
	const requests = 10000

	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p := open(t, Options{Plan: plan, RingBytes: 32 << 20})
		tcp := pingPong(newLine(t, listen(t, "tcp")), "/tcp", requests)
		unix := pingPong(newLine(t, listen(t, "unix")), "/unix", requests)
		got := &seen{}
		runOut(t, p, ours{got})
		t.Run("tcp", func(t *testing.T) { got.arrivedAfter(t, "/tcp", tcp) })
		t.Run("unix", func(t *testing.T) { got.arrivedAfter(t, "/unix", unix) })
	})
}

// arrivedAfter compares the arrival of each request for a path with the time when it was
// sent.
func (s *seen) arrivedAfter(t *testing.T, path string, sent []uint64) {
	absent, reported := 0, 0
	for _, r := range s.finals() {
		if r.kind == wire.Call || !strings.HasPrefix(r.head, "GET "+path+" ") {
			continue
		}
		require.LessOrEqual(t, int(r.Seq), len(sent))
		reported++
		if r.Arrived == 0 {
			absent++
			continue
		}
		require.GreaterOrEqual(t, r.Arrived, sent[r.Seq-1], "request %d arrived before it was sent", r.Seq)
		require.LessOrEqual(t, r.Arrived, r.ReadFirst, "request %d", r.Seq)
	}
	assert.Equal(t, len(sent), reported)
	assert.Less(t, absent, 1+len(sent)/100)
}

package socket

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/probes/socket/snapshot"
	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
)

// testPlans are the plans that this kernel is known to support: both, unless the kernel
// matrix says otherwise.
func testPlans() []survey.Plan {
	var plans []survey.Plan
	for _, p := range strings.Split(cmp.Or(os.Getenv("LAPWING_TEST_PLANS"), "socket,syscall"), ",") {
		plans = append(plans, survey.Plan(p))
	}
	return plans
}

// forEachPlan runs a test on each plan that the kernel supports.
func forEachPlan(t *testing.T, test func(*testing.T, survey.Plan)) {
	for _, p := range testPlans() {
		t.Run(string(p), func(t *testing.T) { test(t, p) })
	}
}

func TestSurveyAgreesWithTheKernel(t *testing.T) {
	s := survey.TakeSurvey()
	require.Empty(t, s.Problems)
	assert.Equal(t, testPlans()[0], s.Chosen)
	for _, p := range s.Plans {
		probe, err := Open(Options{Plan: p.Plan})
		if !slices.Contains(testPlans(), p.Plan) {
			assert.False(t, p.Works)
			require.ErrorContains(t, err, p.Why)
			continue
		}
		require.NoError(t, err)
		assert.True(t, p.Works)
		assert.Equal(t, p.Plan, probe.Plan().Plan)
		require.NoError(t, probe.Close())
	}
}

func TestEachHookIsUsedOrSaysWhyNot(t *testing.T) {
	for _, p := range survey.TakeSurvey().Plans {
		rows := map[[2]string]bool{}
		for _, h := range p.Hooks {
			row := [2]string{h.Name, h.Purpose}
			assert.False(t, rows[row], "%v stands twice in plan %s", row, p.Plan)
			rows[row] = true
			if !h.Used {
				assert.NotEmpty(t, h.Why, "%s of plan %s", h.Name, p.Plan)
			}
			assert.NotEmpty(t, h.Purpose, "%s of plan %s", h.Name, p.Plan)
		}
	}
}

// TestWithoutMapIterators loads and runs what replaces the iterators over maps, which some
// kernels refuse.
func TestWithoutMapIterators(t *testing.T) {
	refused := []string{"idle_elem", "gone_elem", "see_elem", "idle_tcp", "see_tcp"}
	forEachPlan(t, func(t *testing.T, name survey.Plan) {
		plan, err := survey.TakeSurvey().Resolve(name)
		require.NoError(t, err)
		for i, h := range plan.Hooks {
			if strings.HasPrefix(h.Name, "iter/") && slices.Contains(refused, h.Program) {
				plan.Hooks[i].Used = false
			} else if h.OnDemand() {
				plan.Hooks[i].Used = true
			}
		}
		opts := Options{Snapshots: true, Ports: []uint16{1}}
		require.NoError(t, opts.setDefaults())
		p, err := openPlan(plan, opts, nil)
		require.NoError(t, err)
		defer func() { assert.NoError(t, p.Close()) }()
		require.NoError(t, p.sweepComplete())
		require.NoError(t, p.gone.walk())
		require.NoError(t, p.SnapConns(&snapshot.Snapshot{}))
		for _, program := range refused {
			if loaded := p.coll.Programs[program]; loaded != nil {
				assert.Equal(t, ebpf.Syscall, loaded.Type(), program)
			}
		}
	})
}

func TestBadOptions(t *testing.T) {
	for want, opts := range map[string]Options{
		"head bytes 63":   {HeadBytes: 63},
		"head bytes 1025": {HeadBytes: 1025},
		"power of two":    {RingBytes: 100000},
		"connections 1":   {Connections: 1},
		"17 ports":        {Ports: make([]uint16, 17)},
	} {
		_, err := Open(opts)
		assert.ErrorContains(t, err, want)
	}
}

// seen keeps what a probe handed out for one local port, as copies.
type seen struct {
	port     uint16
	requests []seenRequest
}

type seenRequest struct {
	wire.RecordFields
	kind wire.Kind
	head string
	resp string
	end  wire.End
}

func (s *seen) HandleRecord(kind wire.Kind, r wire.Record) {
	if r.LocalPort != s.port {
		return
	}
	s.requests = append(s.requests, seenRequest{
		r.Fields(), kind, string(r.RequestHead()), string(r.ResponseHead()), r.ResponseEnd()})
}
func (s *seen) HandleEvent(wire.Event) {}
func (s *seen) Tick(time.Time)         {}

// server returns an HTTP server in this process, which is also its client.
func server(t *testing.T, body string) (*httptest.Server, uint16) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	port, err := strconv.Atoi(u.Port())
	require.NoError(t, err)
	return s, uint16(port)
}

func get(t *testing.T, url string) {
	res, err := http.Get(url)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
}

// observe opens a probe, runs do, and returns what was seen on the port.
func observe(t *testing.T, opts Options, port uint16, do func()) *seen {
	if opts.Ports == nil {
		opts.Ports = []uint16{port} // the other traffic of the machine never ends
	}
	p, err := Open(opts)
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) {
		t.Logf("%+v", refused)
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	do()
	// The client has its last answer before the server's last write returns.
	http.DefaultClient.CloseIdleConnections()
	awaitQuiet(t, p)
	s := &seen{port: port}
	runOut(t, p, s)
	assert.Zero(t, p.malformed.Load())
	return s
}

// awaitQuiet waits until the probes have nothing more to count. If nothing was counted at
// all, a slow machine may just not have got that far.
func awaitQuiet(t *testing.T, p *Probe) {
	var last Stats
	began := time.Now()
	require.Eventually(t, func() bool {
		now, err := p.Stats()
		quiet := err == nil && now == last && (now != Stats{} || time.Since(began) > 3*time.Second)
		last = now
		return quiet
	}, 20*time.Second, 200*time.Millisecond)
}

// finals returns the requests in the order of their numbers. A tentative record counts
// unless the final one came too.
func (s *seen) finals() []seenRequest {
	last := map[[2]uint64]seenRequest{}
	for _, r := range s.requests {
		last[[2]uint64{r.Conn, uint64(r.Seq)}] = r
	}
	var out []seenRequest
	for _, r := range last {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b seenRequest) int { return int(a.Arrived) - int(b.Arrived) })
	return out
}

func TestStampsAreInOrder(t *testing.T) {
	s, port := server(t, "hello")
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		got := observe(t, Options{Plan: plan}, port, func() {
			for range 20 {
				get(t, s.URL+"/a/path")
			}
		}).finals()
		require.Len(t, got, 20)
		for _, r := range got {
			assert.LessOrEqual(t, r.Established, r.Arrived)
			assert.LessOrEqual(t, r.Arrived, r.ReadFirst)
			assert.LessOrEqual(t, r.ReadFirst, r.ReadLast)
			assert.LessOrEqual(t, r.ReadLast, r.WriteFirst)
			assert.LessOrEqual(t, r.WriteFirst, r.WriteLast)
			assert.EqualValues(t, os.Getpid(), r.Pid)
			assert.Equal(t, "GET /a/path HTTP/1.1", strings.SplitN(r.head, "\r\n", 2)[0])
			assert.EqualValues(t, len(r.head), r.RequestBytes)
		}
	})
}

func TestClientEndIsNeverReported(t *testing.T) {
	s, port := server(t, "hello")
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p, err := Open(Options{Plan: plan, Ports: []uint16{port}})
		require.NoError(t, err)
		get(t, s.URL)
		all := &everything{}
		runOut(t, p, all)
		require.NoError(t, p.Close())
		assert.NotEmpty(t, all.ports)
		for _, got := range all.ports {
			assert.Contains(t, []uint16{port, 0}, got, "0: a unix socket of another server")
		}
	})
}

type everything struct{ ports []uint16 }

func (e *everything) HandleRecord(k wire.Kind, r wire.Record) {
	if k != wire.Call { // the server of this test is in the same process as its client
		e.ports = append(e.ports, r.LocalPort)
	}
}
func (e *everything) HandleEvent(wire.Event) {}
func (e *everything) Tick(time.Time)         {}

func TestHeadBytes(t *testing.T) {
	s, port := server(t, strings.Repeat("x", 3000))
	path := "/" + strings.Repeat("p", 1500)
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		for _, n := range []int{MinHeadBytes, 100, DefaultHeadBytes, MaxHeadBytes} {
			got := observe(t, Options{Plan: plan, HeadBytes: n}, port, func() { get(t, s.URL+path) }).finals()
			require.Len(t, got, 1)
			rounded := (n + 7) &^ 7
			assert.Len(t, got[0].head, rounded)
			assert.Empty(t, got[0].resp, "nothing of a whole head is needed")
			assert.Equal(t, wire.EndSeen, got[0].end, "the end of a chunked response")
		}
	})
}

func TestPortsLimitTheProbes(t *testing.T) {
	wanted, port := server(t, "1")
	other, otherPort := server(t, "2")
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		call := func() { get(t, wanted.URL); get(t, other.URL) }
		assert.Len(t, observe(t, Options{Plan: plan, Ports: []uint16{port}}, port, call).finals(), 1)
		assert.Empty(t, observe(t, Options{Plan: plan, Ports: []uint16{port}}, otherPort, call).finals())
	})
}

// TestFastClient sends requests on one connection to a server that reads ahead on another
// thread, as Go's does. The next request is often read before the probe on the write of
// the response has run.
func TestFastClient(t *testing.T) {
	const sent = 2000
	s, port := server(t, "hello")
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		http.DefaultClient.CloseIdleConnections()
		got := observe(t, Options{Plan: plan, Ports: []uint16{port}}, port, func() {
			for range sent {
				get(t, s.URL)
			}
		}).finals()
		require.Equal(t, sent, len(got))
		for i, r := range got {
			require.EqualValues(t, i+1, r.Seq)
			require.NotZero(t, r.WriteFirst, "request %d", i)
			require.EqualValues(t, 200, r.Out.Status, "request %d", i)
			require.Zero(t, r.Marks&wire.MarkPipelined, "request %d", i)
		}
	})
}

// TestFullRingIsCounted reads nothing: what does not fit is lost, and every loss is
// counted.
func TestFullRingIsCounted(t *testing.T) {
	const sent = 600
	s, port := server(t, strings.Repeat("x", 1000))
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p, err := Open(Options{Plan: plan, RingBytes: 1 << 16, Ports: []uint16{port}})
		require.NoError(t, err)
		http.DefaultClient.CloseIdleConnections()
		for range sent {
			get(t, s.URL)
		}
		http.DefaultClient.CloseIdleConnections()
		var stats Stats
		require.Eventually(t, func() bool {
			stats, err = p.Stats()
			// Other servers of this machine, on unix sockets, count as well.
			// A connection goes on in events if its lock was held for too
			// long, by a thread whose processor was taken away.
			return err == nil && stats.Final+stats.LostRing+stats.LostEvents >= sent
		}, 10*time.Second, 10*time.Millisecond, "of %d requests: %+v", sent, &stats)
		assert.NotZero(t, stats.LostRing)
		got := &seen{port: port}
		runOut(t, p, got)
		require.NoError(t, p.Close())
		assert.GreaterOrEqual(t, uint64(len(got.finals()))+stats.LostRing+stats.LostEvents, uint64(sent))
		assert.LessOrEqual(t, uint64(len(got.finals())), stats.Final)
	})
}

// TestQuietConnectionIsHandedOut keeps a connection open and silent after its request,
// which must still be handed out within a second.
func TestQuietConnectionIsHandedOut(t *testing.T) {
	s, port := server(t, "hello")
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p, err := Open(Options{Plan: plan, Ports: []uint16{port}})
		require.NoError(t, err)
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		require.NoError(t, err)
		_, err = conn.Write([]byte("GET /quiet HTTP/1.1\r\nHost: x\r\n\r\n"))
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1000))
		require.NoError(t, err)

		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		first := &firstRecord{port: port, cancel: cancel}
		started := time.Now()
		require.NoError(t, p.Run(ctx, first))
		require.NoError(t, p.Close())
		require.NoError(t, conn.Close())
		assert.Equal(t, wire.Tentative, first.kind)
		assert.Less(t, time.Since(started), 15*time.Second, "handed out by the sweep, not at the end")
	})
}

type firstRecord struct {
	port   uint16
	cancel context.CancelFunc
	kind   wire.Kind
}

func (f *firstRecord) HandleRecord(k wire.Kind, r wire.Record) {
	if f.kind == 0 && r.LocalPort == f.port {
		f.kind = k
		f.cancel()
	}
}
func (f *firstRecord) HandleEvent(wire.Event) {}
func (f *firstRecord) Tick(time.Time)         {}

// TestCloseLeavesNothingAttached looks for the programs by the numbers that
// the kernel gave them.
func TestCloseLeavesNothingAttached(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		p, err := Open(Options{Plan: plan})
		require.NoError(t, err)
		var ids []ebpf.ProgramID
		for _, prog := range p.coll.Programs {
			info, err := prog.Info()
			require.NoError(t, err)
			id, ok := info.ID()
			require.True(t, ok)
			ids = append(ids, id)
		}
		require.NotEmpty(t, ids)
		require.NoError(t, p.Close())
		for _, id := range ids {
			assert.Eventually(t, func() bool {
				prog, err := ebpf.NewProgramFromID(id)
				if err == nil {
					_ = prog.Close()
				}
				return errors.Is(err, os.ErrNotExist)
			}, 5*time.Second, 10*time.Millisecond)
		}
	})
}

// TestSizesOfMaps compares what a message says about memory with what the kernel reports
// of the maps that it created.
func TestSizesOfMaps(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		// A port that is not used: some maps grow with the connections of the
		// machine.
		opts := Options{Plan: plan, Snapshots: true, Ports: []uint16{1}}
		p := open(t, opts)
		require.NoError(t, opts.setDefaults())
		spec, err := buildSpec(p.Plan(), opts, 1)
		require.NoError(t, err)
		all, largest, _ := mapSizes(spec)
		var real uint64
		for _, m := range p.coll.Maps {
			info, err := m.Info()
			require.NoError(t, err)
			size, ok := info.Memlock()
			if !ok {
				t.Skipf("this kernel tells no memory of the map %s: before Linux 6.4 it does not know what maps take", info.Name)
			}
			real += size
		}
		assert.Equal(t, "messages", largest)
		assert.InEpsilon(t, real, all, 0.2)
	})
}

package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"lapwing/collectors/protocol/http1"
	"lapwing/collectors/request"
	"lapwing/exporters/otlp"
)

// batchEvery is the time between two batches of requests. They come in batches,
// as from the kernel's buffer.
const batchEvery = 10 * time.Millisecond

// load creates requests. Like the agent, it reuses one request and its memory.
type load struct {
	random   *rand.Rand
	services []string
	routes   []string
	statuses []int
	sets     int
	request  request.Request
	detail   http1.Message
	path     []byte
}

func newLoad(services, sets int) *load {
	l := &load{random: rand.New(rand.NewPCG(1, 2)), sets: sets, statuses: []int{200, 200, 404, 500, 302}, path: []byte("/orders/4711/items/17")}
	for i := range services {
		l.services = append(l.services, fmt.Sprintf("service-%d", i))
	}
	for i := range max(sets/services, 1) {
		l.routes = append(l.routes, fmt.Sprintf("/orders/{id}/part-%d", i))
	}
	l.detail = http1.Message{UserAgent: []byte("Mozilla/5.0 (X11; Linux x86_64)"), RequestHeadLen: 420, ResponseHeadLen: 230}
	return l
}

// next returns a request that has just ended. Its phases are log-normal, a few
// milliseconds at the median and some hundreds in the tail.
func (l *load) next(i int) *request.Request {
	spread := func(typical float64) request.Stamp {
		return request.Stamp(typical * (0.2 + l.random.ExpFloat64()*l.random.ExpFloat64()*2) * 1e6)
	}
	queue, parse, app, write := spread(.2), spread(.05), spread(5), spread(.1)
	end := request.Now()
	set := i % l.sets
	r := &l.request
	*r = request.Request{
		Stamps: request.Stamps{WriteLast: end, WriteFirst: end - write, ReadLast: end - write - app,
			ReadFirst: end - write - app - parse, Arrived: end - write - app - parse - queue, Accepted: end - write - app - parse - queue/2, Acked: end + 1000},
		Seq: 1, RequestBytes: 420 + uint64(set), ResponseBytes: 230 + uint64(app/1000), PID: 100, TID: 101, WriterTID: 101, Comm: "worker",
		Local:   request.Endpoint{Addr: netip.MustParseAddrPort("127.0.0.1:80")},
		Peer:    request.Endpoint{Addr: netip.MustParseAddrPort("127.0.0.1:50000")},
		Service: l.services[set%len(l.services)], Route: l.routes[set/len(l.services)%len(l.routes)],
		Protocol: http1.ProtocolHTTP11, Method: "GET", Path: l.path, Status: l.statuses[0], Detail: &l.detail,
	}
	return r
}

// run sends rate requests per second for a span of time, in batches.
func (l *load) run(to func(*request.Request), rate int, span time.Duration) (requests uint64) {
	tick := time.NewTicker(batchEvery)
	defer tick.Stop()
	begin := time.Now()
	for passed := time.Duration(0); passed < span; {
		<-tick.C
		passed = min(time.Since(begin), span)
		for due := uint64(passed.Seconds() * float64(rate)); requests < due; requests++ {
			to(l.next(int(requests)))
		}
	}
	return requests
}

// cpu returns the CPU time that this process has used.
func cpu() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // cannot fail for the process itself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory returns the peak resident memory of this process, in bytes.
func memory() (uint64, error) {
	p, err := procfs.NewProc(os.Getpid())
	if err != nil {
		return 0, err
	}
	s, err := p.NewStatus()
	return s.VmHWM, err
}

// traced returns what the agent does with a request whose place in a trace is
// known.
func traced(to *otlp.Exporter) func(*request.Request) {
	return func(r *request.Request) {
		request.AssignIDs(r)
		to.Trace(r)
	}
}

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/agent/e2e/harness"
	"lapwing/agent/e2e/peer"
	"lapwing/probes/socket/survey"
)

// The events around the start of the agent.
const (
	underWay peer.Event = 28 + iota // the scripts are in the state in which the agent shall find them
	attached                        // the agent's probes are attached
)

// startCase is a connection that exists when the agent starts.
type startCase struct {
	name   string
	server []peer.Step
	client []peer.Step
	missed int    // its requests that are in flight then
	want   []want // requests that follow
}

// TestHardCasesInFlight starts the agent next to connections in every state. A
// request in flight is not measured, but counted. All later requests on the
// same connection are measured.
func TestHardCasesInFlight(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		replay(t, func(t *testing.T) []string { return playStart(t, plan) })
	})
}

// underWayRun is a row of startCases that waits for the agent to start.
type underWayRun struct {
	startCase
	listener *peer.Listener
	run      *peer.Run
	parts    []*peer.Part
}

// playStart starts the agent next to all rows. It returns the times that do not
// agree.
func playStart(t *testing.T, plan survey.Plan) (late []string) {
	rows, missed := setUnderWay(t)
	trace := harness.StartTrace(t, plan, "--exe", harness.Executable(t))
	top := harness.StartTop(t, plan, "--exe", harness.Executable(t))
	wanted := make(map[string]int)
	for _, c := range rows {
		wanted[c.listener.Address.String()] = len(c.want)
		t.Run(c.name+"/"+string(c.listener.Address.Family), func(t *testing.T) {
			c.run.Signal(attached)
			o := gather(c.listener, c.parts)
			o.records = trace.AwaitRecords(o.address.String(), len(c.want), handOut()+patience())
			o.check(t, c.want)
			for _, l := range o.late {
				late = append(late, t.Name()+": "+l)
			}
		})
	}
	harness.CheckTotals(t, trace.Finish(), wanted)
	// Requests of other servers on the machine may also have been in flight.
	assert.GreaterOrEqual(t, harness.Sum(top.Finish().MissedStart), uint64(missed),
		"requests counted as missed at the start:\n%s", top.Stderr())
	return late
}

// setUnderWay brings all rows to the state in which the agent shall find them.
// missed is the number of requests in flight then.
func setUnderWay(t *testing.T) (rows []underWayRun, missed int) {
	t.Helper()
	for _, c := range startCases() {
		for _, family := range peer.Families {
			l := peer.Listen(t, family, 0)
			run := peer.NewRun(t, l, 4*patience())
			parts := []*peer.Part{run.Serve(peer.Script(c.server...)), run.Call(peer.Script(c.client...))}
			run.Await(underWay)
			rows = append(rows, underWayRun{c, l, run, parts})
			missed += c.missed
		}
	}
	return rows, missed
}

// gather waits for the scripts of a run.
func gather(l *peer.Listener, parts []*peer.Part) observed {
	o := observed{address: l.Address}
	for _, p := range parts {
		stamps, noise := p.Wait()
		o.stamps = append(o.stamps, stamps...)
		o.noise += noise
	}
	return o
}

// two are the requests that each of the connections serves after the start of
// the agent.
var two = []want{
	{n: "2", path: "/second", status: 200, later: true, unaccepted: true, unsplit: true},
	{n: "3", path: "/third", status: 404, later: true, unaccepted: true},
}

func startCases() []startCase {
	first := reply("200 OK", "one")
	long := reply("200 OK", "a response of two parts")
	return []startCase{
		{
			name: "idle after a request", want: two,
			server: thenTwo(peer.Accept().As("accept"), peer.ReadHead(), peer.Write(first)),
			client: andTwo(peer.Connect().As("connect"), peer.Write(get("/first")), peer.ReadFull(len(first)),
				peer.Signal(underWay), peer.Await(attached)),
		},
		{
			name: "silent so far", want: two,
			server: thenTwo(peer.Accept().As("accept"), peer.Signal(underWay)),
			client: andTwo(peer.Connect().As("connect"), peer.Await(attached)),
		},
		{
			name: "in the backlog", want: inBacklog(),
			server: thenTwo(peer.Await(attached), peer.Accept().As("accept")),
			client: andTwo(peer.Connect().As("connect"), peer.Signal(underWay), peer.Await(attached)),
		},
		{
			name: "request not read", want: two, missed: 1,
			server: thenTwo(peer.Accept().As("accept"), peer.Await(attached), peer.ReadHead(), peer.Write(first)),
			client: andTwo(peer.Connect().As("connect"), peer.Write(get("/first")), peer.Signal(underWay),
				peer.ReadFull(len(first))),
		},
		{
			name: "request half read", want: two, missed: 1,
			server: thenTwo(peer.Accept().As("accept"), peer.ReadFull(10), peer.Signal(underWay),
				peer.Await(attached), peer.ReadHead(), peer.Write(first)),
			client: andTwo(peer.Connect().As("connect"), peer.Write(get("/first")), peer.ReadFull(len(first))),
		},
		{
			name: "request not answered", want: two, missed: 1,
			server: thenTwo(peer.Accept().As("accept"), peer.ReadHead(), peer.Signal(underWay),
				peer.Await(attached), peer.Write(first)),
			client: andTwo(peer.Connect().As("connect"), peer.Write(get("/first")), peer.ReadFull(len(first))),
		},
		{
			name: "response half written", want: two, missed: 1,
			server: thenTwo(peer.Accept().As("accept"), peer.ReadHead(), peer.Write(long[:len(long)-9]),
				peer.Signal(underWay), peer.Await(attached), peer.Write(long[len(long)-9:])),
			client: andTwo(peer.Connect().As("connect"), peer.Write(get("/first")), peer.ReadFull(len(long))),
		},
	}
}

// inBacklog is like two, on a connection whose accept the agent saw.
func inBacklog() []want {
	wants := []want{two[0], two[1]}
	for i := range wants {
		wants[i].unaccepted, wants[i].unsplit = false, false
		wants[i].later = i > 0
	}
	return wants
}

// thenTwo returns a server that serves two requests after the given steps.
func thenTwo(before ...peer.Step) []peer.Step {
	return append(before,
		peer.ReadHead().As("read2"), peer.Sleep(ms(20)), peer.Write(reply("200 OK", "two")).As("write2"),
		peer.ReadHead().As("read3"), peer.Sleep(ms(10)), peer.Write(reply("404 Not Found", "three")).As("write3"),
		peer.Close())
}

// andTwo returns a client that sends two requests after the given steps.
func andTwo(before ...peer.Step) []peer.Step {
	return append(before,
		peer.Write(get("/second")).As("send2"), peer.ReadFull(len(reply("200 OK", "two"))), peer.Sleep(ms(10)),
		peer.Write(get("/third")).As("send3"), peer.ReadEOF(), peer.Close())
}

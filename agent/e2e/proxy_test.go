package e2e

import (
	"testing"

	"lapwing/agent/e2e/harness"
	"lapwing/agent/e2e/peer"
	"lapwing/probes/socket/survey"
)

// TestHardCasesOfProxies has a process that is a server on one side and a
// client on the other. Only what it serves and what its upstream serves must be
// reported, once each.
func TestHardCasesOfProxies(t *testing.T) {
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan, "--exe", harness.Executable(t))
		wanted := make(map[string]int)
		for _, front := range peer.Families {
			for _, back := range peer.Families {
				t.Run(string(front)+" to "+string(back), func(t *testing.T) {
					replay(t, func(t *testing.T) []string {
						f, b := peer.Listen(t, front, 0), peer.Listen(t, back, 0)
						wanted[f.Address.String()], wanted[b.Address.String()] = 2, 2
						return playProxy(t, trace, f, b)
					})
				})
			}
		}
		harness.CheckTotals(t, trace.Finish(), wanted)
	})
}

// playProxy sends two requests through a proxy that keeps its upstream
// connection open. It returns the times that do not agree.
func playProxy(t *testing.T, trace *harness.Trace, front, back *peer.Listener) (late []string) {
	answers := []string{reply("200 OK", "one"), reply("404 Not Found", "two")}
	upstream := peer.NewRun(t, back, patience())
	proxy := peer.NewRun(t, front, patience())
	backParts := []*peer.Part{upstream.Serve(alternating(answers))}
	frontParts := []*peer.Part{
		proxy.Serve(peer.Script(forwarding(back.Address, answers)...)),
		proxy.Call(asking([]string{get("/outer1"), get("/outer2")}, answers)),
	}
	outer, inner := gather(front, frontParts), gather(back, backParts)
	// The client of the upstream is the proxy, whose stamps are among the outer
	// ones.
	inner.noise += outer.noise
	for _, s := range outer.stamps {
		switch s.Label {
		case "upconnect", "upsend1", "upsend2":
			s.Label = s.Label[len("up"):]
			inner.stamps = append(inner.stamps, s)
		}
	}
	outer.records = trace.AwaitRecords(front.Address.String(), 2, patience())
	outer.check(t, []want{{n: "1", path: "/outer1", status: 200}, {n: "2", path: "/outer2", status: 404, later: true}})
	inner.records = trace.AwaitRecords(back.Address.String(), 2, patience())
	inner.check(t, []want{{n: "1", path: "/inner1", status: 200}, {n: "2", path: "/inner2", status: 404, later: true}})
	return append(outer.late, inner.late...)
}

// forwarding is a server that calls another server for each of its responses.
func forwarding(to peer.Address, answers []string) []peer.Step {
	const up peer.Slot = 1
	steps := []peer.Step{peer.Accept().As("accept"), peer.Connect().To(to).On(up).As("upconnect")}
	for i, answer := range answers {
		n := itoa(i + 1)
		steps = append(steps, peer.ReadHead().As("read"+n),
			peer.Write(get("/inner"+n)).On(up).As("upsend"+n), peer.ReadFull(len(answer)).On(up),
			peer.Write(answer).As("write"+n))
	}
	return append(steps, peer.Close().On(up), peer.Close())
}

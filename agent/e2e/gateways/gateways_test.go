package gateways

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/agent/e2e/harness"
	"lapwing/collectors/service"
	"lapwing/probes/socket/survey"
)

// requests is the number of requests to each hop. workers is the number that is
// served at a time, clients the number of concurrent clients.
const (
	requests = 200
	workers  = 4
	clients  = 2 * workers
)

func TestMain(m *testing.M) {
	status := m.Run()
	if err := harness.Cleanup(); err != nil && status == 0 {
		status = 1
	}
	os.Exit(status)
}

// hop is one way from a front end to an application server.
type hop struct {
	name     string // also the first element of its paths
	front    string // address of the front end
	protocol string // as the agent must report it
	service  string
	local    string // prefix of the back end's address, as the agent prints it
	noMarker bool   // nothing shows when it calls the application

	// logged reads the log of the server.
	logged func(t *testing.T) []logged
	// judge compares the agent's times with those of the server.
	judge func(t *testing.T, pairs []pair)
}

// TestGateways sends requests through all hops at once, from twice as many
// clients as there are workers.
func TestGateways(t *testing.T) {
	s := openSite(t)
	hops := append(append(s.behindNginx(t), s.behindApache(t)...), s.behindPassenger(t)...)
	fastcgi := slices.IndexFunc(hops, func(h hop) bool { return h.name == "fastcgi-tcp" })
	hops = append(hops, s.behindLighttpd(t, hops[fastcgi])...)
	for _, h := range hops {
		h.warmUp(t)
	}
	harness.ForEachPlan(t, func(t *testing.T, plan survey.Plan) {
		trace := harness.StartTrace(t, plan, "--exe", "uwsgi*", "--exe", "php*", "--exe", "apache2", "--exe", "python3*")
		// Records of the first calls of a process can be held back for five
		// seconds. That continues while the hops are tested.
		for _, h := range hops {
			h.warmUp(t)
		}
		for _, h := range hops {
			t.Run(h.name, func(t *testing.T) { h.test(t, trace, string(plan)) })
		}
		trace.Finish()
	})
	results.write(t)
}

// ours selects the records of the hop in this run.
func (h hop) ours(run string) func(harness.Record) bool {
	return func(r harness.Record) bool { return r.Protocol == h.protocol && hasRun(r.Path, h.name, run) }
}

func (h hop) test(t *testing.T, trace *harness.Trace, run string) {
	h.askAll(t, run)
	harness.Within(waitForLast, func() bool { return len(trace.Records(h.ours(run))) >= requests || trace.Exited() })
	records := trace.Records(h.ours(run))
	own := ofRun(h.logged(t), h.name, run)
	sameRequests(t, records, own)
	results.saw(t, len(records))
	wrong, late := 0, 0
	for _, r := range records {
		// A server may read what a client just queued on a unix socket before
		// the client's call reaches the hook that reports it.
		if r.Start == "" && strings.HasPrefix(r.Local, "unix:") {
			if late++; late <= requests/50 {
				continue
			}
		}
		if what := h.wrong(r); what != "" {
			if wrong++; wrong <= 3 {
				assert.Empty(t, what, "what is wrong with %s", r.Line)
			}
		}
	}
	pairs := pairUp(records, own)
	if len(pairs) > 0 {
		h.judge(t, pairs)
	}
}

// wrong returns what is wrong with a single record.
func (h hop) wrong(r harness.Record) string {
	switch {
	case !service.MatchName(h.service, r.Service): // two servers of one program are told apart by name
		return "service is not " + h.service
	case !strings.HasPrefix(r.Local, h.local):
		return "local is not " + h.local
	case (r.Error != "") != (r.Status >= 500):
		return "error does not agree with status"
	case r.Method != "GET" || r.Duration == nil:
		return "no method or not measured"
	case (r.Boundary == "marker") == h.noMarker:
		return "boundary"
	case len(r.Flags) > 0 && !r.Has("streamed"):
		return "flags"
	}
	return ""
}

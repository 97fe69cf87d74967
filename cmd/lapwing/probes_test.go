package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"lapwing/agent/privilege"
	"lapwing/agent/privilege/sandbox"
	"lapwing/probes/marker"
	"lapwing/probes/socket/survey"
)

// twoPlans returns the survey of a kernel on which the second plan works.
func twoPlans() survey.Survey {
	return survey.Survey{
		Kernel: "6.1.0-18-amd64",
		Chosen: survey.PlanSyscall,
		Plans: []survey.PlanSurvey{
			{Plan: survey.PlanSocket, Why: "the kernel has no tracepoint sock_recv_length", Hooks: []survey.Hook{
				{Name: "tp_btf/sock_recv_length", Purpose: "read_first", Why: "the kernel has no tracepoint sock_recv_length"},
			}},
			{Plan: survey.PlanSyscall, Works: true, Hooks: []survey.Hook{
				{Name: "tp_btf/tcp_probe", Purpose: "arrived", Available: true, Used: true},
				{Name: "iter/tcp", Purpose: "older connections", Optional: true, Why: "no iterator tcp", Without: "missed_start is not counted"},
			}},
		},
	}
}

// surveyed runs `lapwing probes` with a made-up survey of the host.
func surveyed(s survey.Survey, denied privilege.Problems, args ...string) result {
	a := newApp()
	var out, errs strings.Builder
	a.out, a.err = &out, &errs
	a.prepare = func() error { return denied }
	a.survey = func() survey.Survey { return s }
	a.markers = func() ([]marker.Found, map[string]uint64) {
		return []marker.Found{{Marker: marker.Table[1], Files: []string{"/usr/lib/uwsgi/python3_plugin.so"}}, {Marker: marker.Table[6]}}, map[string]uint64{"not_regular": 2}
	}
	a.check = func() privilege.Problems { return denied }
	a.sandbox = func() sandbox.Survey { return sandbox.Survey{Filter: true, Counts: true, Landlock: 2} }
	return result{a.execute(append([]string{"probes"}, args...)), out.String(), errs.String()}
}

func TestProbesText(t *testing.T) {
	require.Equal(t, result{out: `kernel 6.1.0-18-amd64

plan socket: does not work: the kernel has no tracepoint sock_recv_length
  HOOK                     HAS IT  USED  FEEDS       NOTE
  tp_btf/sock_recv_length  no      no    read_first  the kernel has no tracepoint sock_recv_length

plan syscall: works, chosen
  HOOK              HAS IT  USED  FEEDS              NOTE
  tp_btf/tcp_probe  yes     yes   arrived            
  iter/tcp          no      no    older connections  no iterator tcp; missed_start is not counted

markers: functions through which a server calls the application
  SERVER  FUNCTION          IN                                AUTO  FOUND IN A RUNNING PROCESS
  uWSGI   python_call       uwsgi*: python*_plugin.so|uwsgi*  yes   /usr/lib/uwsgi/python3_plugin.so
  nginx   ngx_http_handler  nginx                             no    
  processes and files that were skipped: 2 (not_regular 2)

sandbox of a running agent: system calls are filtered (seccomp), refused calls are counted; Landlock (version 2 here) is not used: it would hide other users' processes
`}, surveyed(twoPlans(), nil))
}

func TestProbesJSON(t *testing.T) {
	r := surveyed(twoPlans(), nil, "--format", "json")
	require.Zero(t, r.status)
	require.JSONEq(t, `{
		"kernel": "6.1.0-18-amd64", "chosen": "syscall", "works": true, "problems": [],
		"plans": [
			{"plan": "socket", "works": false, "why": "the kernel has no tracepoint sock_recv_length", "hooks": [
				{"name": "tp_btf/sock_recv_length", "purpose": "read_first", "optional": false, "available": false, "used": false,
				 "why": "the kernel has no tracepoint sock_recv_length"}]},
			{"plan": "syscall", "works": true, "hooks": [
				{"name": "tp_btf/tcp_probe", "purpose": "arrived", "optional": false, "available": true, "used": true},
				{"name": "iter/tcp", "purpose": "older connections", "optional": true, "available": false, "used": false,
				 "why": "no iterator tcp", "without": "missed_start is not counted"}]}],
		"markers": [
			{"server": "uWSGI", "symbol": "python_call", "in": "uwsgi*: python*_plugin.so|uwsgi*", "auto": true, "found": ["/usr/lib/uwsgi/python3_plugin.so"]},
			{"server": "nginx", "symbol": "ngx_http_handler", "in": "nginx", "auto": false, "found": []}
		], "markers_refused": {"not_regular": 2},
		"sandbox": {"seccomp": true, "refused_calls_counted": true, "landlock_abi": 2}}`, r.out)
}

func TestProbesWhenNothingWorks(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*survey.Survey)
		denied privilege.Problems
		want   string
	}{
		"a capability": {
			func(*survey.Survey) {}, privilege.Problems{{What: "CAP_BPF is missing", Fix: "run as root"}},
			"lapwing: no probe plan works here: CAP_BPF is missing: run as root\n",
		},
		"no type information, found twice": {
			func(s *survey.Survey) {
				*s = survey.Survey{Problems: []survey.Problem{{What: "cannot read " + privilege.BTF, Fix: "other words"}}}
			},
			privilege.Problems{{What: "there is no " + privilege.BTF, Fix: "another kernel"}},
			"lapwing: no probe plan works here: there is no /sys/kernel/btf/vmlinux: another kernel\n",
		},
		"a hook": {
			func(s *survey.Survey) { s.Chosen = ""; s.Plans[1].Works = false }, nil,
			"lapwing: no probe plan works here: plan socket: the kernel has no tracepoint sock_recv_length\n",
		},
		"nothing known": {
			func(s *survey.Survey) { *s = survey.Survey{Kernel: "6.1"} }, nil,
			"lapwing: no probe plan works here: each plan needs hooks that this kernel does not have\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := twoPlans()
			tt.change(&s)
			r := surveyed(s, tt.denied, "--format", "json")
			require.Equal(t, 1, r.status)
			require.Equal(t, tt.want, r.err)
			var view surveyView
			require.NoError(t, json.Unmarshal([]byte(r.out), &view))
			require.False(t, view.Works)
			require.Len(t, view.Problems, len(tt.denied))
		})
	}
}

func TestProbesOnThisHost(t *testing.T) {
	r := runReal(t, nil, lapwing(t), "probes", "--format", "json")
	var view surveyView
	require.NoError(t, json.Unmarshal([]byte(r.out), &view), r.err)
	require.Equal(t, view.Works, r.status == statusOK)
	require.NotEmpty(t, view.Kernel)
	require.Len(t, view.Plans, 2)
	require.Len(t, view.Markers, len(marker.Table))
}

package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/collectors/service"
	"lapwing/exporters/otlp/sampling"
	"lapwing/probes/marker"
	"lapwing/probes/socket/survey"
)

// write writes a configuration file and returns its path.
func write(t *testing.T, yaml string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "lapwing.yaml")
	require.NoError(t, os.WriteFile(file, []byte(yaml), 0o600))
	return file
}

// load reads a configuration file without environment and flags.
func load(t *testing.T, yaml string) (Config, error) {
	t.Helper()
	return Load(Source{File: write(t, yaml)})
}

func TestEmptyFilesAreTheDefaults(t *testing.T) {
	for name, yaml := range map[string]string{
		"empty":          "",
		"only comments":  "# nothing\n",
		"empty sections": "probes:\nexport:\n  otlp:\nlog:\n",
		"empty values":   "probes:\n  head_bytes:\n  plan: ~\n",
		"an empty group": "probes: {}\n",
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := load(t, yaml)
			require.NoError(t, err)
			require.Equal(t, Default(), cfg)
		})
	}
	cfg, err := Load(Source{})
	require.NoError(t, err)
	require.Equal(t, Default(), cfg)
	require.Empty(t, Validate(Default()))
}

func TestEveryKindOfValue(t *testing.T) {
	cfg, err := load(t, `
probes: {plan: syscall, head_bytes: 128, markers: off, ring_bytes: 16MiB, ports: [80, 8080]}
filter: {ports: [80], pids: [1, 2], exes: ["nginx*"], services: [shop]}
services:
  - {name: shop, exe: gunicorn, port: 8000}
  - {name: "8080", cmdline: 'a\.b'}
export:
  otlp:
    endpoint: https://collector.example:4317
    headers: {authorization: Bearer x, x.dotted: "1", X-Upper: yes}
    timeout: 5s
    sampling:
      ratio: 0.25
      services: [{service: shop, ratio: 1, slow: 200ms}, {service: blog}]
log: {level: debug, format: json}
health: {log_interval: 0}
drop_privileges: false
`)
	require.NoError(t, err)

	want := Default()
	want.Probes = Probes{Plan: survey.PlanSyscall, HeadBytes: 128, Markers: marker.Off, RingBytes: 16 << 20, Ports: []uint16{80, 8080}}
	want.Filter = service.Filter{Ports: []uint16{80}, PIDs: []uint32{1, 2}, Exes: []string{"nginx*"}, Services: []string{"shop"}}
	want.Services = []service.Rule{{Name: "shop", Exe: "gunicorn", Port: 8000}, {Name: "8080", Cmdline: `a\.b`}}
	want.Export.OTLP.Endpoint = "https://collector.example:4317"
	want.Export.OTLP.Headers = map[string]string{"authorization": "Bearer x", "x.dotted": "1", "X-Upper": "yes"}
	want.Export.OTLP.Timeout = 5 * time.Second
	ratio, slow := 1.0, 200*time.Millisecond
	want.Export.OTLP.Sampling.Ratio = 0.25
	want.Export.OTLP.Sampling.Services = []sampling.ServiceConfig{{Service: "shop", Ratio: &ratio, Slow: &slow}, {Service: "blog"}}
	want.Log = Log{Level: "debug", Format: "json"}
	want.Health.LogInterval = 0
	want.DropPrivileges = false
	require.Equal(t, want, cfg)
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	cfg, err := load(t, "services:\n  - &base {name: a, exe: nginx}\n  - {<<: *base, name: b}\n")
	require.NoError(t, err)
	require.Equal(t, []service.Rule{{Name: "a", Exe: "nginx"}, {Name: "b", Exe: "nginx"}}, cfg.Services)
}

func TestLayers(t *testing.T) {
	file := write(t, "probes: {head_bytes: 100, plan: socket, ports: [1]}\nlog: {level: warn}\n")
	cfg, err := Load(Source{
		File: file,
		Environ: []string{
			"LAPWING_PROBES_HEAD_BYTES=200", "LAPWING_PROBES_PORTS=80, 81", "LAPWING_PROBES_RING_BYTES=1MiB",
			"LAPWING_EXPORT_OTLP_SAMPLING_KEEP_FAILED=false", "LAPWING_LOG_LEVEL=", "PATH=/bin",
		},
		Flags: []Flag{{Name: "--head-bytes", Key: "probes.head_bytes", Value: 300}, {Name: "--port", Key: "filter.ports", Value: []uint16{9}}},
	})
	require.NoError(t, err)
	require.Equal(t, Probes{Plan: survey.PlanSocket, HeadBytes: 300, Markers: marker.Auto, RingBytes: 1 << 20, Ports: []uint16{80, 81}}, cfg.Probes)
	require.Equal(t, []uint16{9}, cfg.Filter.Ports)
	require.Equal(t, "warn", cfg.Log.Level, "an empty variable is not set")
	require.False(t, cfg.Export.OTLP.Sampling.KeepFailed)
}

// TestWrongFiles checks the whole message: the place, the key, the error, and
// what is expected.
func TestWrongFiles(t *testing.T) {
	for _, tt := range []struct{ yaml, want string }{
		{"probes:\n  head_byte: 1\n", `FILE:2: probes.head_byte: unknown key: did you mean head_bytes?`},
		{"head_bytes: 1\n", `FILE:1: head_bytes: unknown key: did you mean probes.head_bytes?`},
		{"ports: [1]\n", `FILE:1: ports: unknown key: did you mean probes.ports or filter.ports?`},
		{"log:\n  zzzzzzzz: 1\n", `FILE:2: log.zzzzzzzz: unknown key: known here are level, format`},
		{"services:\n- name: a\n  exe: b\n  prot: 1\n", `FILE:4: services[0].prot: unknown key: did you mean port?`},
		{"export:\n  otlp:\n    timeout: 5 seconds\n", `FILE:3: export.otlp.timeout: "5 seconds" is not a duration (a number with a unit: ms, s, m, h), for example 5s`},
		{"health: {log_interval: 200}\n", `FILE:1: health.log_interval: "200" is not a duration (a number with a unit: ms, s, m, h), for example 5m`},
		{"health: {log_interval: -5m}\n", `FILE:1: health.log_interval: -5m0s is negative: use a duration such as 5m, or 0 to disable it`},
		{"probes: {head_bytes: many}\n", `FILE:1: probes.head_bytes: "many" is not a whole number, for example 256`},
		{"probes: {head_bytes: 2.5}\n", `FILE:1: probes.head_bytes: "2.5" is not a whole number, for example 256`},
		{"probes:\n  head_bytes: 2048\n", `FILE:2: probes.head_bytes: 2048 is out of range: use 64 to 1024`},
		{"probes: {ring_bytes: lots}\n", `FILE:1: probes.ring_bytes: "lots" is not a size, for example 8MiB`},
		{"probes: {ring_bytes: 3MiB}\n", `FILE:1: probes.ring_bytes: 3MiB is not a power of two from 64KiB to 1GiB: use a size such as 8MiB`},
		{"probes: {plan: kprobe}\n", `FILE:1: probes.plan: unknown probe plan "kprobe": use auto, socket or syscall`},
		{"probes: {markers: some}\n", `FILE:1: probes.markers: unknown value "some" for markers: use auto, on or off`},
		{"probes: {ports: 80}\n", `FILE:1: probes.ports: expected a list of port numbers, for example [80, 8080]`},
		{"probes: {ports: [80, 70000]}\n", `FILE:1: probes.ports[1]: "70000" is not a port number (1 to 65535)`},
		{"filter: {pids: [0]}\n", `FILE:1: filter.pids[0]: "0" is not a process ID`},
		{"filter: {exes: ['[']}\n", `FILE:1: filter.exes[0]: "[" is not a valid glob: close each [, and do not end it with \`},
		{"drop_privileges: maybe\n", `FILE:1: drop_privileges: "maybe" is not true or false, for example true`},
		{"sandbox: on\n", `FILE:1: sandbox: unknown value "on" for sandbox: use refuse, kill or off`},
		{"log: {level: loud}\n", `FILE:1: log.level: unknown level "loud": use debug, info, warn or error`},
		{"log: {level: info+1}\n", `FILE:1: log.level: unknown level "info+1": use debug, info, warn or error`},
		{"log: {format: xml}\n", `FILE:1: log.format: unknown value "xml": use text or json`},
		{"log: verbose\n", `FILE:1: log: expected a mapping with the keys level, format`},
		{"log: {level: [info]}\n", `FILE:1: log.level: expected a single value (text), for example info`},
		{"services:\n- name: shop\n", `FILE:2: services[0].name: the rule needs a condition: set exe, unit, container, cmdline or port`},
		{"services:\n- {name: a, port: 1}\n- {exe: b}\n", `FILE:3: services[1].name: missing: set the name of the service`},
		{"export: {otlp: {headers: [a]}}\n", `FILE:1: export.otlp.headers: expected a mapping, for example {authorization: Bearer 1234}`},
		{"export:\n  otlp:\n    sampling:\n      ratio: 7\n", `FILE:4: export.otlp.sampling.ratio: 7: use a number from 0 to 1`},
		{"export:\n  otlp:\n    endpoint: collector\n", `FILE:3: export.otlp.endpoint: "collector": use a URL such as http://127.0.0.1:4318`},
		{"export: {otlp: {headers: {'api key': x}}}\n", `FILE:1: export.otlp.headers: "api key": not a valid header name: use letters, digits and -`},
		{"export: {otlp: {headers: {'': x}}}\n", `FILE:1: export.otlp.headers: "": not a valid header name: use letters, digits and -`},
		{"export:\n  otlp:\n    headers: {a: b, Content-Length: '7'}\n", `FILE:3: export.otlp.headers: "Content-Length": the agent sets this header: remove it`},
		{"export: {otlp: {headers: {grpc-timeout: 1S}}}\n", `FILE:1: export.otlp.headers: "grpc-timeout": gRPC reserves names that start with grpc-: remove it`},
		{"export: {otlp: {headers: {api-key: \"se\\ncret\"}}}\n", `FILE:1: export.otlp.headers: "api-key": the value contains a line break or another control character, or starts or ends with a space`},
		{"export: {otlp: {headers: {api-key: schlüssel}}}\n", `FILE:1: export.otlp.headers: "api-key": the value contains a non-ASCII character, which receivers do not accept`},
		{"a: b: c\n", `FILE: not valid YAML: mapping values are not allowed in this context`},
		{"log: {level: info}\nlog: {level: warn}\n", `FILE:2: not valid YAML: mapping key "log" already defined at line 1`},
		{"log: {level: info}\n---\nlog: {level: warn}\n", `FILE:2: the file has a second YAML document: use only one`},
		{"- a\n", `FILE:1: expected a mapping with the keys probes, filter, services, routes, metrics, export, log, health, drop_privileges, user, sandbox`},
		{"\tlog: x\n", `FILE: not valid YAML: found character that cannot start any token`},
	} {
		t.Run(tt.want, func(t *testing.T) {
			file := write(t, tt.yaml)
			_, err := Load(Source{File: file})
			require.Error(t, err)
			require.Equal(t, tt.want, strings.ReplaceAll(err.Error(), file, "FILE"))
		})
	}
}

func TestAllProblemsAreListed(t *testing.T) {
	_, err := load(t, "log: {level: 1, colour: 2}\nprobes: {head_bytes: x}\n")
	var problems Problems
	require.ErrorAs(t, err, &problems)
	require.Len(t, problems, 2)
	require.ErrorContains(t, err, "(and 1 more: 'lapwing config check' lists them)")
	require.NotContains(t, err.Error(), "\n")
}

func TestWrongVariablesAndFlagsAreNamed(t *testing.T) {
	for want, src := range map[string]Source{
		`LAPWING_HEALTH_LOG_INTERVAL: health.log_interval: "soon" is not a duration (a number with a unit: ms, s, m, h), for example 5m`: {Environ: []string{"LAPWING_HEALTH_LOG_INTERVAL=soon"}},
		`LAPWING_PROBES_PORTS: probes.ports: "http" is not a port number (1 to 65535)`:                                                   {Environ: []string{"LAPWING_PROBES_PORTS=80,http"}},
		`LAPWING_PROBES_PLAN: probes.plan: unknown probe plan "x": use auto, socket or syscall`:                                          {Environ: []string{"LAPWING_PROBES_PLAN=x"}},
		`--head-bytes: probes.head_bytes: 9 is out of range: use 64 to 1024`:                                                             {Flags: []Flag{{"--head-bytes", "probes.head_bytes", 9}}},
	} {
		_, err := Load(src)
		require.EqualError(t, err, want)
	}
}

func TestIgnoredVariables(t *testing.T) {
	require.Equal(t, []string{"LAPWING_PROBE_PLAN", "LAPWING_SERVICES"},
		IgnoredVariables([]string{"LAPWING_SERVICES=a", "LAPWING_PROBE_PLAN=x", "LAPWING_PROBES_PLAN=auto", "HOME=/"}))
}

func TestMissingFile(t *testing.T) {
	_, err := Load(Source{File: filepath.Join(t.TempDir(), "none.yaml")})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "none.yaml")
	require.ErrorContains(t, err, "lapwing config example")
}

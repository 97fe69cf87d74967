package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// runReal runs the real binary, possibly through a program that changes its
// user.
func runReal(t *testing.T, environ []string, argv ...string) result {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environ...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// requireOneLine checks what all failures have in common.
func requireOneLine(t *testing.T, r result, status int, want string) {
	t.Helper()
	require.Equal(t, status, r.status, r.err)
	require.Empty(t, r.out, "a failure prints nothing to standard output")
	require.True(t, strings.HasPrefix(r.err, "lapwing: "), r.err)
	require.Equal(t, 1, strings.Count(r.err, "\n"), "one line: %s", r.err)
	require.NotContains(t, r.err, "goroutine")
	require.NotContains(t, r.err, "Usage:")
	require.Contains(t, r.err, want)
}

func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	junk := file("junk.pem", "this is no certificate\n")
	for _, tt := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"trace", "--bogus"}, 2, "unknown flag: --bogus (see 'lapwing trace --help')"},
		{[]string{"trace", "-z"}, 2, "unknown shorthand flag: 'z' in -z"},
		{[]string{"tracee"}, 2, `unknown command "tracee": did you mean trace?`},
		{[]string{"config", "chek"}, 2, `unknown command "chek": did you mean check?`},
		{[]string{"top", "now"}, 2, `unexpected argument "now"`},
		{[]string{"config", "check", "a", "b"}, 2, `unexpected argument "b"`},
		{[]string{"trace", "--slow", "fast"}, 2, `invalid argument "fast" for "--slow" flag: not a duration: use a number with a unit, such as 200ms, 10s or 5m`},
		{[]string{"trace", "--for", "10"}, 2, `invalid argument "10" for "--for" flag: not a duration`},
		{[]string{"top", "--interval", "-1s"}, 2, "must be above zero: use a duration"},
		{[]string{"top", "--interval", "1ms"}, 2, `invalid argument "1ms" for "--interval" flag: too short: use at least 50ms`},
		{[]string{"workers", "--interval", "49999us"}, 2, "too short: use at least 50ms"},
		{[]string{"trace", "--count", "0"}, 2, "use a whole number above zero"},
		{[]string{"trace", "--count"}, 2, "flag needs an argument: --count"},
		{[]string{"trace", "--port", "80,http"}, 2, "not a port number: use 1 to 65535"},
		{[]string{"trace", "--port", "65536"}, 2, "not a port number: use 1 to 65535"},
		{[]string{"trace", "--pid", "-4"}, 2, "not a process ID: use a whole number above zero"},
		{[]string{"trace", "--format", "xml"}, 2, `unknown format "xml": use text or json`},
		{[]string{"trace", "--markers", "some"}, 2, `unknown value "some" for markers: use auto, on or off`},
		{[]string{"trace", "--probe-plan", "kprobe"}, 2, `unknown probe plan "kprobe": use auto, socket or syscall`},
		{[]string{"trace", "--head-bytes", "9"}, 2, "--head-bytes: probes.head_bytes: 9 is out of range: use 64 to 1024"},
		{[]string{"trace", "--exe", "["}, 2, `--exe: filter.exes[0]: "[" is not a valid glob`},
		{[]string{"trace", "--otlp-endpoint", "collector"}, 2, `--otlp-endpoint: export.otlp.endpoint: "collector": use a URL`},
		{[]string{"run", "--prometheus-listen", "here"}, 2, `--prometheus-listen: export.prometheus.listen: "here" is not an address with a port: use one like 127.0.0.1:9464`},
		{[]string{"run", "--config", file("tls.yaml", "export:\n  prometheus: {tls: {cert: a.pem}}\n")}, 1, "tls.yaml:2: export.prometheus.tls: needs both cert and key: set both or remove both"},
		{[]string{"run", "--config", file("serve.yaml", "export: {prometheus: {listen: '127.0.0.1:9464', tls: {cert: "+junk+", key: "+junk+"}}}\n")}, 1, "export.prometheus.tls.cert, tls.key: reading the server's certificate: "},
		{[]string{"run", "--config", file("ca.yaml", "export: {otlp: {endpoint: 'https://127.0.0.1:4317', tls: {ca: "+junk+"}}}\n")}, 1, "export.otlp: tls.ca: " + junk + " holds no PEM certificate"},
		{[]string{"run", "--config", file("sets.yaml", "metrics: {max_label_sets: 0}\n")}, 1, "sets.yaml:1: metrics.max_label_sets: 0 is out of range: use 1 to 100000"},
		{[]string{"run", "--config", file("routes.yaml", "routes:\n  - template: orders\n")}, 1, `routes.yaml:2: routes[0].template: "orders" does not start with a slash`},
		{[]string{"run", "--config", file("sampling.yaml", "export: {otlp: {sampling: {slowest: 2}}}\n")}, 1, "sampling.yaml:1: export.otlp.sampling.slowest: 2: use a number from 0 to 0.5"},
		{[]string{"run", "--config", filepath.Join(dir, "none.yaml")}, 1, "none.yaml: no such file or directory ('lapwing config example' prints an example)"},
		{[]string{"run", "--config", dir}, 1, "is a directory"},
		{[]string{"run", "--config", file("bad.yaml", "log: {level: info\n")}, 1, "bad.yaml:"},
		{[]string{"run", "--config", file("key.yaml", "\nprobes:\n  head_byte: 1\n")}, 1, "key.yaml:3: probes.head_byte: unknown key: did you mean head_bytes?"},
		{[]string{"run", "--config", file("time.yaml", "health: {log_interval: 10 minutes}\n")}, 1, `time.yaml:1: health.log_interval: "10 minutes" is not a duration (a number with a unit: ms, s, m, h), for example 5m`},
		{[]string{"config", "check", file("check.yaml", "log: {level: loud}\n")}, 1, `check.yaml:1: log.level: unknown level "loud"`},
		{[]string{"config", "check", file("headers.yaml", "export:\n  otlp:\n    headers: {\"api key\": s3cret}\n")}, 1, `headers.yaml:3: export.otlp.headers: "api key": not a valid header name`},
		{[]string{"config", "check", file("value.yaml", "export:\n  otlp:\n    headers: {api-key: \"s3\\ncret\"}\n")}, 1, `value.yaml:3: export.otlp.headers: "api-key": the value contains a line break`},
		{[]string{"run", "--config", file("empty.yaml", "")}, 1, "nothing to export to: set export.otlp.endpoint or export.prometheus.listen in"},
	} {
		t.Run(strings.Join(tt.args[:min(3, len(tt.args))], " "), func(t *testing.T) {
			requireOneLine(t, runReal(t, nil, append([]string{lapwing(t)}, tt.args...)...), tt.status, tt.want)
		})
	}
}

// TestOpenSecrets checks a configuration with a key that all users can read.
func TestOpenSecrets(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lapwing.yaml")
	require.NoError(t, os.WriteFile(name, []byte("export: {otlp: {endpoint: 'http://127.0.0.1:4318', headers: {api-key: s3cret}}}\n"), 0o600))
	require.NoError(t, os.Chmod(name, 0o644))
	r := runReal(t, nil, lapwing(t), "config", "check", name)
	require.Zero(t, r.status)
	require.Equal(t, "lapwing: warning: "+name+" contains headers for receivers (export.otlp.headers), which are often API keys, and can be read by every user of this host: run chmod o-r "+name+"\n", r.err)
	require.NoError(t, os.Chmod(name, 0o640))
	require.Empty(t, runReal(t, nil, lapwing(t), "config", "check", name).err)
}

func TestBadEnvironment(t *testing.T) {
	r := runReal(t, []string{"LAPWING_PROBES_HEAD_BYTES=lots"}, lapwing(t), "trace")
	requireOneLine(t, r, 1, `LAPWING_PROBES_HEAD_BYTES: probes.head_bytes: "lots" is not a whole number, for example 256`)
}

func TestConfigCheckListsEverything(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lapwing.yaml")
	require.NoError(t, os.WriteFile(file, []byte("log: {level: 1, colour: 2}\nprobes: {head_bytes: x}\n"), 0o644))
	r := runReal(t, nil, lapwing(t), "config", "check", file)
	require.Equal(t, 1, r.status)
	require.Regexp(t, `^lapwing: .*:1: log\.colour: unknown key.*\nlapwing: .*:2: probes\.head_bytes: .*\n$`, r.err)
}

// TestWithoutPrivileges runs the real binary as a user without privileges.
func TestWithoutPrivileges(t *testing.T) {
	nobody := []string{}
	if os.Geteuid() == 0 {
		nobody = []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"}
	}
	for _, command := range []string{"trace", "top"} {
		t.Run(command, func(t *testing.T) {
			r := runReal(t, nil, append(nobody, lapwing(t), command, "--for", "5s")...)
			requireOneLine(t, r, 1, "CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH are missing: run as root, or: sudo setcap cap_bpf,")
			require.Contains(t, r.err, "=ep "+lapwing(t), "the line can be pasted")
		})
	}
	t.Run("probes", func(t *testing.T) {
		r := runReal(t, nil, append(nobody, lapwing(t), "probes")...)
		require.Equal(t, 1, r.status)
		require.Equal(t, 1, strings.Count(r.err, "\n"), r.err)
		require.Contains(t, r.err, "lapwing: no probe plan works here: CAP_BPF,")
		require.Contains(t, r.out, "\nproblem: CAP_BPF,")
		require.Contains(t, r.out, "\n  to do: run as root, or: sudo setcap ")
	})
}

// TestWithoutTypeInformation hides the kernel's BTF from the real binary, in a
// mount namespace of its own.
func TestWithoutTypeInformation(t *testing.T) {
	hide := "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\""
	unshare := []string{"unshare", "--mount", "sh", "-c", hide}
	if os.Geteuid() != 0 {
		unshare = append([]string{"unshare", "--user", "--map-root-user"}, unshare[1:]...)
	}
	r := runReal(t, nil, append(unshare, lapwing(t), "trace", "--for", "5s")...)
	requireOneLine(t, r, 1, "the kernel has no type information (/sys/kernel/btf/vmlinux): use a kernel built with CONFIG_DEBUG_INFO_BTF=y")
}

func TestEveryCommandHasExamples(t *testing.T) {
	for _, args := range [][]string{{}, {"trace"}, {"top"}, {"workers"}, {"run"}, {"probes"}, {"config"}, {"config", "check"}, {"config", "example"}, {"version"}} {
		r := runReal(t, nil, append(append([]string{lapwing(t)}, args...), "--help")...)
		require.Zero(t, r.status)
		require.Empty(t, r.err)
		require.Contains(t, r.out, "Examples:\n  ", "lapwing %v", args)
	}
}

func TestVersion(t *testing.T) {
	r := runReal(t, nil, lapwing(t), "version")
	require.Zero(t, r.status)
	require.Regexp(t, `^lapwing v1\.2\.3-test \(go1\.\S+, linux/\w+\)\n$`, r.out)
}

func TestExampleConfigurationIsValid(t *testing.T) {
	example := runReal(t, nil, lapwing(t), "config", "example")
	require.Zero(t, example.status)
	file := filepath.Join(t.TempDir(), "lapwing.yaml")
	require.NoError(t, os.WriteFile(file, []byte(example.out), 0o644))
	r := runReal(t, nil, lapwing(t), "config", "check", file)
	require.Equal(t, file+" is valid\n", r.out)
	require.Zero(t, r.status)
	require.Equal(t, "lapwing: warning: "+nowhereIn(file)+"\n", r.err, "it exports nothing yet")
}

// nowhereIn is what both run and config check print.
func nowhereIn(file string) string {
	return "nothing to export to: set export.otlp.endpoint or export.prometheus.listen in " + file + ", or use --otlp-endpoint or --prometheus-listen"
}

func TestConfigurationThatExportsNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lapwing.yaml")
	for text, silent := range map[string]bool{
		"": false, "metrics: {max_label_sets: 5}\n": false, "export: {otlp: {sampling: {ratio: 0.1}}}\n": false,
		"export: {prometheus: {listen: ':9464'}}\n": true, "export: {otlp: {endpoint: 'http://127.0.0.1:4318'}}\n": true,
	} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		check := runReal(t, nil, lapwing(t), "config", "check", file)
		require.Zero(t, check.status, "a warning is no error")
		if silent {
			require.Empty(t, check.err, text)
			continue
		}
		require.Equal(t, "lapwing: warning: "+nowhereIn(file)+"\n", check.err, text)
		requireOneLine(t, runReal(t, nil, lapwing(t), "run", "--config", file), 1, nowhereIn(file))
	}
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	environ := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"}
	require.Empty(t, runReal(t, environ, lapwing(t), "config", "check", file).err)
}

// TestUnknownVariables checks all commands for which the warning is documented.
func TestUnknownVariables(t *testing.T) {
	for _, command := range []string{"trace", "top", "workers"} {
		for variable, want := range map[string]string{
			"LAPWING_PROBE_HEAD_BYTES=128": "environment variable LAPWING_PROBE_HEAD_BYTES sets no key of the configuration: did you mean LAPWING_PROBES_HEAD_BYTES?",
			"LAPWING_COLOUR=blue":          "environment variable LAPWING_COLOUR sets no key of the configuration",
		} {
			a := newApp()
			var out, errs bytes.Buffer
			a.out, a.err, a.environ = &out, &errs, []string{variable}
			a.prepare = func() error { return errors.New("no") }
			require.Equal(t, 1, a.execute([]string{command}))
			require.Equal(t, "lapwing: warning: "+want+"\nlapwing: no\n", errs.String(), command)
		}
	}
}

// TestRunWithoutAnyFile runs what a new user types first.
func TestRunWithoutAnyFile(t *testing.T) {
	a := newApp()
	var errs bytes.Buffer
	a.err, a.environ = &errs, nil
	f := agentFlags{set: a.runCommand().Flags(), file: filepath.Join(t.TempDir(), "lapwing.yaml")}
	require.ErrorContains(t, a.daemon(&f), "no such file or directory ('lapwing config example' prints an example); without a file, use --prometheus-listen 127.0.0.1:9464 or")
}

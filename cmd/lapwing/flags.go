package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"lapwing/agent/config"
	"lapwing/exporters/console"
	"lapwing/probes/marker"
	"lapwing/probes/socket/survey"
)

// value is a flag whose text is parsed by a function. Its errors say what is
// expected; pflag adds the name of the flag.
type value[T any] struct {
	v     *T
	parse func(string) (T, error)
	kind  string // the type in the help
	text  string
}

var _ pflag.Value = (*value[int])(nil)

func (f *value[T]) String() string { return f.text }
func (f *value[T]) Type() string   { return f.kind }

func (f *value[T]) Set(text string) error {
	v, err := f.parse(text)
	if err != nil {
		return err
	}
	*f.v, f.text = v, text
	return nil
}

// list is a flag that can be repeated and accepts several values separated by
// commas.
type list[T any] struct {
	value[T]
	all *[]T
}

func (f *list[T]) String() string { return "" }

func (f *list[T]) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		v, err := f.parse(strings.TrimSpace(part))
		if err != nil {
			return err
		}
		*f.all = append(*f.all, v)
	}
	return nil
}

// parseSpan parses a duration above zero.
func parseSpan(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, errors.New("not a duration: use a number with a unit, such as 200ms, 10s or 5m")
	case d <= 0:
		return 0, errors.New("must be above zero: use a duration such as 200ms, 10s or 5m")
	}
	return d, nil
}

func parseCount(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 {
		return 0, errors.New("use a whole number above zero")
	}
	return n, nil
}

func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, errors.New("not a port number: use 1 to 65535")
	}
	return uint16(n), nil
}

func parsePID(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return 0, errors.New("not a process ID: use a whole number above zero")
	}
	return uint32(n), nil
}

func parseFormat(text string) (string, error) { return text, console.CheckFormat(text) }

func span(set *pflag.FlagSet, name, usage string) *time.Duration {
	f := &value[time.Duration]{v: new(time.Duration), parse: parseSpan, kind: "duration"}
	set.Var(f, name, usage)
	return f.v
}

// minInterval is the shortest time between two tables. More frequent tables are
// unreadable, and the agent would mostly measure itself.
const minInterval = 50 * time.Millisecond

func parseInterval(text string) (time.Duration, error) {
	d, err := parseSpan(text)
	if err == nil && d < minInterval {
		return 0, fmt.Errorf("too short: use at least %v, for example 1s", minInterval)
	}
	return d, err
}

func interval(set *pflag.FlagSet) *time.Duration {
	f := &value[time.Duration]{v: new(time.Duration), parse: parseInterval, kind: "duration"}
	set.Var(f, "interval", "time between tables, at least 50ms (default 1s)")
	return f.v
}

func count(set *pflag.FlagSet, usage string) *uint64 {
	f := &value[uint64]{v: new(uint64), parse: parseCount, kind: "number"}
	set.Var(f, "count", usage)
	return f.v
}

func format(set *pflag.FlagSet, usage string) *string {
	f := &value[string]{v: new(string), parse: parseFormat, kind: "text|json"}
	set.Var(f, "format", usage)
	return f.v
}

// agentFlags are the flags that set keys of the configuration.
type agentFlags struct {
	set      *pflag.FlagSet
	file     string
	ports    []uint16
	pids     []uint32
	exes     []string
	services []string
	plan     survey.Plan
	markers  marker.Mode
	head     int
	endpoint string
	listen   string
}

// keys maps flags to the keys that they set.
var keys = []struct{ flag, key string }{
	{"port", "filter.ports"}, {"pid", "filter.pids"}, {"exe", "filter.exes"}, {"service", "filter.services"},
	{"probe-plan", "probes.plan"}, {"markers", "probes.markers"}, {"head-bytes", "probes.head_bytes"}, {"otlp-endpoint", "export.otlp.endpoint"},
	{"prometheus-listen", "export.prometheus.listen"},
}

// addFilters adds the flags that select requests.
func (f *agentFlags) addFilters(set *pflag.FlagSet) {
	f.set = set
	set.Var(&list[uint16]{value[uint16]{parse: parsePort, kind: "port"}, &f.ports}, "port", "only requests on this local TCP `port` (repeatable)")
	set.Var(&list[uint32]{value[uint32]{parse: parsePID, kind: "pid"}, &f.pids}, "pid", "only requests served by this process; the PID of a master process includes its workers (repeatable)")
	set.StringArrayVar(&f.exes, "exe", nil, "only requests served by this executable; the `glob` matches the file name, or the path if it contains a slash (repeatable)")
	set.StringArrayVar(&f.services, "service", nil, "only requests of this service; the `glob` matches the name, and gunicorn also matches gunicorn:shop (repeatable)")
	set.StringVar(&f.file, "config", "", "read settings, such as service names, from this YAML `file`")
}

// addProbes adds the flags of the probes.
func (f *agentFlags) addProbes(set *pflag.FlagSet) {
	f.set = set
	set.Var(&value[survey.Plan]{v: &f.plan, parse: survey.ParsePlan, kind: "plan"}, "probe-plan", "probe plan to use: auto, socket or syscall")
	set.Var(&value[marker.Mode]{v: &f.markers, parse: marker.ParseMode, kind: "mode"}, "markers", "probes on the functions through which a server calls the application: auto, on or off (default auto)")
	set.IntVar(&f.head, "head-bytes", 0, "number of bytes to capture of each request and response head, 64 to 1024 (default 256)")
}

// addOTLP adds the flag that exports traces.
func (f *agentFlags) addOTLP(set *pflag.FlagSet) {
	f.set = set
	set.StringVar(&f.endpoint, "otlp-endpoint", "", "export traces to this OTLP endpoint `URL`, for example http://127.0.0.1:4318")
}

// addPrometheus adds the flag that serves metrics.
func (f *agentFlags) addPrometheus(set *pflag.FlagSet) {
	f.set = set
	set.StringVar(&f.listen, "prometheus-listen", "", "serve Prometheus metrics on this `address`, for example 127.0.0.1:9464")
}

// load builds the configuration from the given flags, the environment and the
// file.
func (f *agentFlags) load(environ []string) (config.Config, error) {
	values := map[string]any{
		"port": f.ports, "pid": f.pids, "exe": f.exes, "service": f.services,
		"probe-plan": string(f.plan), "markers": string(f.markers), "head-bytes": f.head, "otlp-endpoint": f.endpoint,
		"prometheus-listen": f.listen,
	}
	src := config.Source{File: f.file, Environ: environ}
	for _, k := range keys {
		if f.set.Changed(k.flag) {
			src.Flags = append(src.Flags, config.Flag{Name: "--" + k.flag, Key: k.key, Value: values[k.flag]})
		}
	}
	return config.Load(src)
}

package config

import (
	"fmt"
	"log/slog"
	"strings"

	"lapwing/agent/privilege/sandbox"
	"lapwing/collectors/service"
	"lapwing/probes/marker"
	"lapwing/probes/socket/survey"
)

// Validate reports every value that cannot work, without the place where it was
// set.
func Validate(c Config) Problems {
	var all Problems
	add := func(key string, err error) {
		if err != nil {
			all = append(all, Problem{Key: key, Text: err.Error()})
		}
	}
	_, err := survey.ParsePlan(string(c.Probes.Plan))
	add("probes.plan", err)
	_, err = marker.ParseMode(string(c.Probes.Markers))
	add("probes.markers", err)
	add("probes.head_bytes", between(c.Probes.HeadBytes, MinHeadBytes, MaxHeadBytes))
	add("probes.ring_bytes", checkRing(c.Probes.RingBytes))
	for i, glob := range c.Filter.Exes {
		add(fmt.Sprintf("filter.exes[%d]", i), service.ValidateGlob(glob))
	}
	for i, glob := range c.Filter.Services {
		add(fmt.Sprintf("filter.services[%d]", i), service.ValidateGlob(glob))
	}
	for i, rule := range c.Services {
		all = append(all, relative(fmt.Sprintf("services[%d]", i), ": ", rule.Validate())...)
	}
	for i, rule := range c.Routes {
		all = append(all, relative(fmt.Sprintf("routes[%d]", i), ": ", rule.Validate())...)
	}
	all = append(all, relative("metrics", " ", c.Metrics.Validate())...)
	all = append(all, relative("export.prometheus", " ", c.Export.Prometheus.Validate())...)
	all = append(all, relative("export.otlp", " ", c.Export.OTLP.Validate())...)
	_, err = sandbox.ParseMode(string(c.Sandbox))
	add("sandbox", err)
	add("log.level", checkLevel(c.Log.Level))
	add("log.format", oneOf(c.Log.Format, "text", "json"))
	if c.Health.LogInterval < 0 {
		add("health.log_interval", fmt.Errorf("%v is negative: use a duration such as 5m, or 0 to disable it", c.Health.LogInterval))
	}
	return all
}

// relative turns an error that starts with a key below group, up to sep, into a
// problem of the full key.
func relative(group, sep string, err error) Problems {
	if err == nil {
		return nil
	}
	key, text, _ := strings.Cut(err.Error(), sep)
	return Problems{{Key: group + "." + key, Text: text}}
}

func between(v, low, high int) error {
	if v < low || v > high {
		return fmt.Errorf("%d is out of range: use %d to %d", v, low, high)
	}
	return nil
}

// checkRing checks that the size is possible for the kernel's ring buffer.
func checkRing(size Bytes) error {
	if size < MinRingBytes || size > MaxRingBytes || size&(size-1) != 0 {
		return fmt.Errorf("%v is not a power of two from %v to %v: use a size such as 8MiB", size, Bytes(MinRingBytes), Bytes(MaxRingBytes))
	}
	return nil
}

func checkLevel(level string) error {
	if _, err := ParseLevel(level); err != nil {
		return err
	}
	return nil
}

// ParseLevel converts log.level to a level of slog.
func ParseLevel(level string) (slog.Level, error) {
	var l slog.Level
	if oneOf(strings.ToLower(level), "debug", "info", "warn", "error") != nil || l.UnmarshalText([]byte(level)) != nil {
		return 0, fmt.Errorf("unknown level %q: use debug, info, warn or error", level)
	}
	return l, nil
}

func oneOf(v string, known ...string) error {
	for _, k := range known {
		if v == k {
			return nil
		}
	}
	last := len(known) - 1
	return fmt.Errorf("unknown value %q: use %s or %s", v, strings.Join(known[:last], ", "), known[last])
}

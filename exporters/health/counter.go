package health

import (
	"regexp"
	"strings"

	"lapwing/collectors/assemble"
	"lapwing/collectors/patience"
	"lapwing/collectors/stitch"
	"lapwing/probes/socket"
)

// Counter is one thing that the agent counts about itself.
type Counter struct {
	Key    string   // in logs and in JSON
	Metric string   // OpenTelemetry's name; empty if it is not a metric
	Unit   string   // of the metric, in braces
	Help   string   // a sentence
	Gauge  bool     // the value can go down
	By     []string // attributes that distinguish its values, at most two; empty for a single number
	Apart  bool     // the log and the tables distinguish the first of two attributes as well
	Causes []Cause  // values of its last attribute that have texts or a source of their own

	// Short is its name at the foot of a table, Long its name in the last line
	// of a command. It is left out there if the name is empty.
	Short, Long string

	read func(*Sources) Counts
}

// Cause is a value of a counter's last attribute.
type Cause struct {
	Name string
	Help string // what it means and what to do
	read func(*Sources) uint64
}

// Plain returns the help without what only a page can show: links and code.
func (c *Counter) Plain() string { return plain(c.Help) }

// Plain returns the help without what only a page can show.
func (c Cause) Plain() string { return plain(c.Help) }

var link = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)

func plain(help string) string {
	return strings.ReplaceAll(link.ReplaceAllString(help, "$1"), "`", "")
}

// Sources are the values that the counters are read from.
type Sources struct {
	Kernel    socket.Stats
	Assembled assemble.Counts
	Joins     stitch.Counts
	Asked     patience.Counts
	Markers   map[string]uint64            // refused, per reason
	Calls     map[string]uint64            // refused by the agent's own system call filter, by name
	Pools     map[string]uint64            // left out of the worker pools, by cause
	Dropped   map[string]map[string]uint64 // by exporter and cause
}

// Read takes a snapshot of all counters.
func Read(s *Sources) Health {
	h := make(Health, len(Table))
	for _, c := range Table {
		h[c] = c.counts(s)
	}
	return h
}

func (c *Counter) counts(s *Sources) Counts {
	counts := Counts{}
	if c.read != nil {
		counts = c.read(s)
	}
	for _, cause := range c.Causes {
		if cause.read == nil {
			continue
		}
		if n := cause.read(s); n > 0 {
			counts[Labels{cause.Name}] += n
		}
	}
	return counts
}

// one returns a reader of a single number.
func one(read func(*Sources) uint64) func(*Sources) Counts {
	return func(s *Sources) Counts { return Of(read(s)) }
}

// by returns a reader of numbers by cause.
func by(read func(*Sources) map[string]uint64) func(*Sources) Counts {
	return func(s *Sources) Counts { return By(read(s)) }
}

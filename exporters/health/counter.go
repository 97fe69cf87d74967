package health

import (
	"regexp"
	"strings"

	"lapwing/collectors/assemble"
	"lapwing/collectors/patience"
	"lapwing/collectors/stitch"
	"lapwing/probes/socket"
)

// Counter is one thing that the agent counts of itself.
type Counter struct {
	Key    string   // in logs and in JSON
	Metric string   // OpenTelemetry's name; empty for what is no metric
	Unit   string   // of the metric, in braces
	Help   string   // a sentence
	Gauge  bool     // it goes up and down
	By     []string // attributes that tell its values apart, at most two; none: it is one number
	Apart  bool     // the log and the tables tell the first of two attributes apart as well
	Causes []Cause  // values of its last attribute that have their own words or reading

	// Short is how it is called at the foot of a table, Long in the last line of
	// a command; empty where it is left out.
	Short, Long string

	read func(*Sources) Counts
}

// Cause is a value of a counter's last attribute.
type Cause struct {
	Name string
	Help string // what it means, what to do
	read func(*Sources) uint64
}

// Plain is the help without what only a page can show: links and code.
func (c *Counter) Plain() string { return plain(c.Help) }

// Plain is the help without what only a page can show.
func (c Cause) Plain() string { return plain(c.Help) }

var link = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)

func plain(help string) string {
	return strings.ReplaceAll(link.ReplaceAllString(help, "$1"), "`", "")
}

// Sources are what the counters are read from.
type Sources struct {
	Kernel    socket.Stats
	Assembled assemble.Counts
	Joins     stitch.Counts
	Asked     patience.Counts
	Markers   map[string]uint64            // refused, per reason
	Calls     map[string]uint64            // refused by the agent's own filter, by name
	Pools     map[string]uint64            // left out of the worker pools, per cause
	Dropped   map[string]map[string]uint64 // per exporter and cause
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

// one reads a plain number.
func one(read func(*Sources) uint64) func(*Sources) Counts {
	return func(s *Sources) Counts { return Of(read(s)) }
}

// by reads numbers per cause.
func by(read func(*Sources) map[string]uint64) func(*Sources) Counts {
	return func(s *Sources) Counts { return By(read(s)) }
}

package metrics

import (
	"maps"
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// Snapshot is the state of all metrics at one moment. It is filled again and
// again, so that it allocates almost nothing. The values that its points refer
// to are valid until the next time. The zero Snapshot is empty.
type Snapshot struct {
	At       time.Time
	Families []FamilyPoints // in the order of Families; a family may have no points
	// Exponential selects exponential buckets. The reader sets it if needed:
	// these buckets are most of what is copied.
	Exponential bool

	size      int // series so far, as Prometheus counts them
	most      int // limit of size; 0 means no limit
	index     map[*Family]int
	counts    []uint64
	exemplars []Exemplar
}

// FamilyPoints is one metric and its values.
type FamilyPoints struct {
	*Family
	Points []Point
}

// Point is the value of a metric for one set of attributes.
type Point struct {
	Service string        // empty for values of the agent as a whole
	Attrs   attribute.Set // without the service
	Start   time.Time     // the start of the counts; zero for gauges
	Value   float64       // of a counter or gauge
	Distribution
}

// Distribution is the value of a histogram, in the metric's unit.
type Distribution struct {
	Count       uint64
	Sum         float64
	Classic     []uint64   // per bucket, not cumulative; the last one has no upper bound
	Exemplars   []Exemplar // per classic bucket, or empty
	Zero        uint64     // the number of values that are 0
	Offset      int32      // OpenTelemetry's index of Exponential[0], at Scale
	Exponential []uint64   // the first and the last bucket are not empty
}

// Add adds the value of a counter or gauge. It may sort attrs.
func (s *Snapshot) Add(f *Family, service string, start time.Time, value float64, attrs ...attribute.KeyValue) {
	s.point(f, Point{Service: service, Attrs: attribute.NewSet(attrs...), Start: start, Value: value})
}

func (s *Snapshot) reset() {
	if s.index == nil {
		s.index = make(map[*Family]int)
		for i, f := range Families() {
			s.index[f] = i
			s.Families = append(s.Families, FamilyPoints{Family: f})
		}
	}
	for i := range s.Families {
		s.Families[i].Points = s.Families[i].Points[:0]
	}
	s.At, s.counts, s.exemplars, s.size = time.Now(), s.counts[:0], s.exemplars[:0], 0
}

// MaxSeries returns the highest number of series; 0 means no limit.
func (s *Snapshot) MaxSeries() int { return s.most }

// room returns the number of series that may still be added.
func (s *Snapshot) room() int {
	if s.most == 0 {
		return math.MaxInt
	}
	return max(0, s.most-s.size)
}

func (s *Snapshot) point(f *Family, p Point) {
	points := &s.Families[s.index[f]].Points
	*points = append(*points, p)
	s.size += f.series()
}

// distribution copies a histogram, if it has counted anything.
func (s *Snapshot) distribution(f *Family, h *histogram, u *unit, p Point) {
	if h.count == 0 {
		return
	}
	p.Distribution = Distribution{
		Count: h.count, Sum: float64(h.sum) / u.per,
		Classic: s.copyCounts(h.classic), Exemplars: s.copyExemplars(h.exemplars),
	}
	if s.Exponential {
		s.exponential(&p.Distribution, &h.exponential)
	}
	s.point(f, p)
}

// exponential copies the buckets from the first to the last that is not empty.
func (s *Snapshot) exponential(d *Distribution, e *exponential) {
	first, last := 0, len(e.counts)
	for first < last && e.counts[first] == 0 {
		first++
	}
	for last > first && e.counts[last-1] == 0 {
		last--
	}
	d.Zero, d.Offset, d.Exponential = e.zero, e.offset+int32(first), s.copyCounts(e.counts[first:last])
}

func (s *Snapshot) copyCounts(counts []uint64) []uint64 {
	from := len(s.counts)
	s.counts = append(s.counts, counts...)
	return s.counts[from:len(s.counts):len(s.counts)]
}

func (s *Snapshot) copyExemplars(exemplars []Exemplar) []Exemplar {
	from := len(s.exemplars)
	s.exemplars = append(s.exemplars, exemplars...)
	return s.exemplars[from:len(s.exemplars):len(s.exemplars)]
}

// batch is the number of series that are read under one lock. Export waits
// while they are copied, about ten microseconds.
const batch = 16

// Read fills s with the current state. It is safe for concurrent use with
// different snapshots. A request is counted in s either completely or not at
// all.
func (a *Aggregator) Read(s *Snapshot) {
	s.reset()
	s.most = a.most
	for i := 0; a.readSeries(s, i); i += batch {
	}
	a.readParts(s)
	a.readSelf(s)
	for _, source := range a.sources {
		source.Collect(s)
	}
}

func (a *Aggregator) readSeries(s *Snapshot, from int) (more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := len(a.series) + len(a.overflows)
	for i := from; i < min(from+batch, all); i++ {
		if i < len(a.series) {
			s.series(a.series[i])
		} else {
			s.series(a.overflows[i-len(a.series)])
		}
	}
	return from+batch < all
}

func (s *Snapshot) series(from *series) {
	if from == nil {
		return
	}
	p := Point{Service: from.key.service, Attrs: from.attrs, Start: from.start}
	s.distribution(RequestDuration, &from.duration, requestUnit, p)
	s.distribution(RequestBodySize, &from.requestBody, sizeUnit, p)
	s.distribution(ResponseBodySize, &from.responseBody, sizeUnit, p)
	for i := range from.phases {
		p.Attrs = from.phaseAttrs[i]
		s.distribution(PhaseDuration, &from.phases[i], phaseUnit, p)
	}
}

func (a *Aggregator) readParts(s *Snapshot) {
	for _, service := range a.services() {
		a.mu.Lock()
		if p, ok := a.byService[service]; ok {
			for i := range p.histograms {
				s.distribution(PartDuration, &p.histograms[i], phaseUnit, Point{Service: service, Attrs: partAttrs[i], Start: p.start})
			}
		}
		a.mu.Unlock()
	}
}

// services lists the services that have parts.
func (a *Aggregator) services() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Keys(a.byService))
}

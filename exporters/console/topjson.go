package console

import (
	"encoding/json"
	"io"
	"time"

	"lapwing/collectors/request"
	"lapwing/collectors/text"
	"lapwing/exporters/health"
)

// jsonReport writes one object per line. The counts in the object of an
// interval, including losses, are of that interval alone. The final object has
// the totals.
type jsonReport struct {
	w       io.Writer
	earlier health.Health
}

// jsonTable is an object of `lapwing top --format json`.
type jsonTable struct {
	Time        time.Time         `json:"time"`
	Interval    float64           `json:"interval_s"`
	Services    []jsonService     `json:"services"`
	Lost        map[string]uint64 `json:"lost"`
	MissedStart map[string]uint64 `json:"missed_start"`
	InFlight    *uint64           `json:"in_flight,omitempty"` // in the final object only
	Agent       map[string]any    `json:"agent,omitempty"`     // the agent's account of itself; in the final object only
	Final       bool              `json:"final"`
}

type jsonService struct {
	Service  string     `json:"service"`
	Requests uint64     `json:"requests"`
	Errors   uint64     `json:"errors"`
	Rate     float64    `json:"rate"` // requests per second
	Duration jsonStats  `json:"duration"`
	Phases   jsonPhases `json:"phases"`
}

type jsonPhases struct {
	Queue     jsonStats `json:"queue"`
	Parse     jsonStats `json:"parse"`
	App       jsonStats `json:"app"`
	WriteBack jsonStats `json:"write_back"`
}

// jsonStats has null for percentiles without a measurement: they are not zero.
type jsonStats struct {
	Count uint64         `json:"count"`
	P50   *time.Duration `json:"p50_ns"`
	P95   *time.Duration `json:"p95_ns"`
	P99   *time.Duration `json:"p99_ns"`
	Sum   time.Duration  `json:"sum_ns"`
}

func (r *jsonReport) interval(t Table, h health.Health) error {
	out := newJSONTable(t)
	out.Lost = difference(h.Causes(health.Lost), r.earlier.Causes(health.Lost))
	out.MissedStart = difference(h.Causes(health.MissedStart), r.earlier.Causes(health.MissedStart))
	r.earlier = h
	return r.write(out)
}

func (r *jsonReport) final(t Table, h health.Health) error {
	out := newJSONTable(t)
	out.Lost = difference(h.Causes(health.Lost), nil)
	out.MissedStart = difference(h.Causes(health.MissedStart), nil)
	inFlight := h.Total(health.InFlight)
	out.InFlight, out.Agent, out.Final = &inFlight, h.Account(), true
	return r.write(out)
}

func (r *jsonReport) write(out jsonTable) error {
	enc := json.NewEncoder(text.JSON(r.w))
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}

func newJSONTable(t Table) jsonTable {
	out := jsonTable{Time: t.At.UTC(), Interval: t.Elapsed.Seconds(), Services: []jsonService{}}
	for i := range t.Services {
		s := &t.Services[i]
		out.Services = append(out.Services, jsonService{
			Service:  s.Service,
			Requests: s.Requests,
			Errors:   s.Errors,
			Rate:     t.Rate(s.Requests),
			Duration: newJSONStats(s.Duration),
			Phases: jsonPhases{
				Queue:     newJSONStats(s.Phases[request.Queue]),
				Parse:     newJSONStats(s.Phases[request.Parse]),
				App:       newJSONStats(s.Phases[request.App]),
				WriteBack: newJSONStats(s.Phases[request.WriteBack]),
			},
		})
	}
	return out
}

func newJSONStats(s Stats) jsonStats {
	out := jsonStats{Count: s.Count, Sum: s.Sum}
	if s.Count > 0 {
		out.P50, out.P95, out.P99 = &s.P50, &s.P95, &s.P99
	}
	return out
}

// difference returns what was counted after earlier, without causes that did
// not occur. It is never nil.
func difference(now, earlier map[string]uint64) map[string]uint64 {
	out := make(map[string]uint64)
	for cause, n := range now {
		if n > earlier[cause] {
			out[cause] = n - earlier[cause]
		}
	}
	return out
}

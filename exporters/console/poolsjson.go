package console

import (
	"encoding/json"
	"io"
	"time"

	"lapwing/collectors/text"
	"lapwing/collectors/worker"
	"lapwing/exporters/health"
)

// poolsJSON writes one object per line.
type poolsJSON struct {
	w       io.Writer
	earlier health.Health
}

// jsonPools is an object of `lapwing workers --format json`. The counts of the
// pools are since the start. Requests, drops and utilisation are of the
// interval; in the final object they are of the whole time since the start.
// LeftOut counts what the pools do not show, by cause and since the start.
type jsonPools struct {
	Time     time.Time         `json:"time"`
	Interval float64           `json:"interval_s"`
	Pools    []jsonPool        `json:"pools"`
	Host     worker.Host       `json:"host"`
	Lost     map[string]uint64 `json:"lost"`
	LeftOut  map[string]uint64 `json:"left_out"`
	InFlight *uint64           `json:"in_flight,omitempty"` // at the end; in the final object only
	Agent    map[string]any    `json:"agent,omitempty"`     // the agent's account of itself; in the final object only
	Final    bool              `json:"final"`
}

type jsonPool struct {
	Scoreboard string `json:"scoreboard"`
	worker.Snapshot
	Requests    uint64   `json:"requests"`
	Rate        *float64 `json:"rate"` // null if unknown
	Drops       uint64   `json:"drops"`
	Utilisation *float64 `json:"utilisation"` // the value of Snapshot, which this field replaces
	// The value of Snapshot, but null if other threads do the work.
	Workers   *int `json:"workers"`
	Busy      *int `json:"busy"`
	Held      *int `json:"held"`
	Available *int `json:"available"`
	MaxBusy   *int `json:"max_busy"`
}

// tell fills in what is known about the workers of a pool.
func (p *jsonPool) tell() {
	if s := &p.Snapshot; !s.Hidden {
		p.Workers, p.Busy, p.Held, p.Available, p.MaxBusy = &s.Workers, &s.Busy, &s.Held, &s.Available, &s.MaxBusy
	}
}

func (r *poolsJSON) write(t poolTable, h health.Health) error {
	out := jsonPools{
		Time: t.At.UTC(), Interval: t.Elapsed.Seconds(), Pools: []jsonPool{}, Host: t.Host, Final: t.Final,
		LeftOut: difference(t.LeftOut, nil),
		Lost:    difference(h.Causes(health.Lost), r.earlier.Causes(health.Lost)),
	}
	if t.Final {
		inFlight := h.Total(health.InFlight)
		out.Lost = difference(h.Causes(health.Lost), nil)
		out.InFlight, out.Agent = &inFlight, h.Account()
	}
	r.earlier = h
	for i := range t.Pools {
		p := &t.Pools[i]
		out.Pools = append(out.Pools, jsonPool{
			Scoreboard: scoreboard(p), Snapshot: p.Snapshot,
			Requests: p.Requests, Rate: p.Rate, Drops: p.Drops, Utilisation: p.Utilisation,
		})
	}
	enc := json.NewEncoder(text.JSON(r.w))
	enc.SetEscapeHTML(false)
	for i := range out.Pools {
		out.Pools[i].tell()
	}
	return enc.Encode(out)
}

package console

import (
	"encoding/json"
	"io"
	"time"

	"lapwing/collectors/worker"
	"lapwing/exporters"
)

// poolsJSON writes one object a line.
type poolsJSON struct {
	w       io.Writer
	earlier exporters.Health
}

// jsonPools is an object of `lapwing workers --format json`. The pools' counts
// are since the start; requests, drops and utilisation are of the interval,
// which for the final object is everything since the start. LeftOut counts,
// per cause and since the start, what the pools do not show.
type jsonPools struct {
	Time     time.Time         `json:"time"`
	Interval float64           `json:"interval_s"`
	Pools    []jsonPool        `json:"pools"`
	Host     worker.Host       `json:"host"`
	Lost     map[string]uint64 `json:"lost"`
	LeftOut  map[string]uint64 `json:"left_out"`
	Final    bool              `json:"final"`
}

type jsonPool struct {
	Scoreboard string `json:"scoreboard"`
	worker.Snapshot
	Requests    uint64  `json:"requests"`
	Rate        float64 `json:"rate"`
	Drops       uint64  `json:"drops"`
	Utilisation float64 `json:"utilisation"` // in place of the Snapshot's
}

func (r *poolsJSON) write(t poolTable, health exporters.Health) error {
	out := jsonPools{
		Time: t.At.UTC(), Interval: t.Elapsed.Seconds(), Pools: []jsonPool{}, Host: t.Host, Final: t.Final,
		LeftOut: difference(t.LeftOut, nil),
		Lost:    difference(health.Lost, r.earlier.Lost),
	}
	if t.Final {
		out.Lost = difference(health.Lost, nil)
	}
	r.earlier = health
	for i := range t.Pools {
		p := &t.Pools[i]
		out.Pools = append(out.Pools, jsonPool{
			Scoreboard: scoreboard(p), Snapshot: p.Snapshot,
			Requests: p.Requests, Rate: perSecond(p.Requests, t.Elapsed), Drops: p.Drops, Utilisation: p.Utilisation,
		})
	}
	enc := json.NewEncoder(r.w)
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}

func perSecond(events uint64, elapsed time.Duration) float64 {
	if elapsed <= 0 {
		return 0
	}
	return float64(events) / elapsed.Seconds()
}

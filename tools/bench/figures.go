package main

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"lapwing/probes/socket/survey"
)

// figure is one line of the result.
type figure struct {
	Subject string  `json:"subject"` // the noise floor or a plan
	Name    string  `json:"name"`
	Unit    string  `json:"unit"`
	Value   float64 `json:"value"`
	Spread  *spread `json:"spread,omitempty"` // over the pairs; Value is its median
	Note    string  `json:"note,omitempty"`
	Target  *target `json:"target,omitempty"`
}

// target is what the project promises for a figure.
type target struct {
	Limit   float64 `json:"limit"`
	AtLeast bool    `json:"at_least"` // otherwise at most
	Met     bool    `json:"met"`
}

const (
	unitRatio = "ratio"
	unitNanos = "ns"
	unitMiB   = "MiB"
	unitCount = "requests"
)

// limits are the targets of a plan. A nil field has no target.
type limits struct{ throughput, serverCPU, agentCPU, memory *float64 }

func limitsOf(plan survey.Plan) limits {
	memory := new(64.0)
	if plan == survey.PlanSyscall {
		return limits{throughput: new(0.85), memory: memory}
	}
	return limits{throughput: new(0.90), serverCPU: new(600.0), agentCPU: new(1000.0), memory: memory}
}

func (f figure) atLeast(limit *float64) figure { return f.against(limit, true) }
func (f figure) atMost(limit *float64) figure  { return f.against(limit, false) }

func (f figure) against(limit *float64, atLeast bool) figure {
	if limit != nil {
		met := f.Value <= *limit
		if atLeast {
			met = f.Value >= *limit
		}
		f.Target = &target{Limit: *limit, AtLeast: atLeast, Met: met}
	}
	return f
}

func (r *report) figures() []figure {
	figures := r.Noise.figures("noise floor", r.Setup.Rate, limits{})
	for _, p := range r.Plans {
		figures = append(figures, p.figures(r.Setup)...)
	}
	return figures
}

// figures compares the two sides of the pairs.
func (r runs) figures(subject string, rate int, l limits) []figure {
	of := func(name, unit string, s spread, note string) figure {
		return figure{Subject: subject, Name: name, Unit: unit, Value: s.Median, Spread: &s, Note: note}
	}
	ratio := func(get func(sample) float64) spread {
		return over(r.FullSpeed, func(p pair[sample]) float64 { return get(p.With) / get(p.Without) })
	}
	throughput := func(s sample) float64 { return s.Throughput }
	p99 := func(s sample) float64 { return s.P99 }
	cpu := func(s sample) float64 { return s.ServerCPU }
	added := over(r.FixedRate, func(p pair[sample]) float64 { return cpu(p.With) - cpu(p.Without) })
	return []figure{
		of("throughput", unitRatio, ratio(throughput), sides(r.FullSpeed, throughput, 1e-3, "k/s")).atLeast(l.throughput),
		of("p99 latency", unitRatio, ratio(p99), sides(r.FullSpeed, p99, 1, "µs")),
		of(fmt.Sprintf("nginx CPU added at %d/s", rate), unitNanos, added,
			sides(r.FixedRate, cpu, 1, "ns")+shortfall(r.FixedRate, rate)).atMost(l.serverCPU),
	}
}

// sides shows the medians that a ratio or difference is computed from.
func sides(pairs []pair[sample], get func(sample) float64, scale float64, unit string) string {
	without := over(pairs, func(p pair[sample]) float64 { return get(p.Without) * scale })
	with := over(pairs, func(p pair[sample]) float64 { return get(p.With) * scale })
	return fmt.Sprintf("%.4g → %.4g %s", without.Median, with.Median, unit)
}

// shortfall returns a note if the client did not keep the rate.
func shortfall(pairs []pair[sample], rate int) string {
	worst := over(pairs, func(p pair[sample]) float64 { return min(p.With.Throughput, p.Without.Throughput) }).Min
	if worst >= 0.98*float64(rate) {
		return ""
	}
	return fmt.Sprintf(", the client fell to %.0f/s", worst)
}

func (p planReport) figures(s setup) []figure {
	l := limitsOf(p.Plan)
	figures := p.runs.figures(string(p.Plan), s.Rate, l)
	agentCPU := func(pairs []pair[sample]) spread {
		return over(pairs, func(p pair[sample]) float64 { return p.With.Agent.CPU })
	}
	add := func(f figure) {
		f.Subject = string(p.Plan)
		figures = append(figures, f)
	}
	full, fixed := agentCPU(p.FullSpeed), agentCPU(p.FixedRate)
	add(figure{Name: "agent CPU at full speed", Unit: unitNanos, Value: full.Median, Spread: &full}.atMost(l.agentCPU))
	add(figure{Name: fmt.Sprintf("agent CPU at %d/s", s.Rate), Unit: unitNanos, Value: fixed.Median, Spread: &fixed}.atMost(l.agentCPU))
	add(p.memory().atMost(l.memory))
	for _, f := range p.probeTime() {
		add(f)
	}
	add(p.miscounted(s.Connections))
	add(p.lost())
	return figures
}

// samples returns all runs with the agent.
func (p planReport) samples() []sample {
	all := []sample{p.Statistics}
	for _, pairs := range [][]pair[sample]{p.FullSpeed, p.FixedRate} {
		for _, pair := range pairs {
			all = append(all, pair.With)
		}
	}
	return all
}

func (p planReport) memory() figure {
	const mib = 1 << 20
	var most memory
	for _, s := range p.samples() {
		most.Peak = max(most.Peak, s.Agent.Memory.Peak)
		most.Now = max(most.Now, s.Agent.Memory.Now)
	}
	return figure{Name: "agent memory", Unit: unitMiB, Value: float64(most.Peak) / mib,
		Note: fmt.Sprintf("most resident in any run; at the end of one: %.1f MiB", float64(most.Now)/mib)}
}

// probeTime returns the time in the agent's programs per request, in total and
// for each program.
func (p planReport) probeTime() []figure {
	requests := float64(max(1, p.Statistics.Served))
	var total float64
	var each []figure
	for _, program := range p.Statistics.Agent.Programs {
		nanos := float64(program.Runtime)
		total += nanos
		each = append(each, figure{
			Name: "  " + program.Name, Unit: unitNanos, Value: nanos / requests,
			Note: fmt.Sprintf("%.2f runs of %.0f ns", float64(program.Runs)/requests, nanos/float64(program.Runs)),
		})
	}
	slices.SortFunc(each, func(a, b figure) int { return int(math.Copysign(1, b.Value-a.Value)) })
	sum := figure{Name: "time in probes", Unit: unitNanos, Value: total, Note: "per request, statistics' own cost included"}
	sum.Value /= requests
	return append([]figure{sum}, each...)
}

// miscounted returns the worst difference, in any run, between the requests
// that the agent reports and those that nginx counted. nginx may count a
// request that was in flight when the client left, and that never finishes.
func (p planReport) miscounted(connections int) figure {
	var worst float64
	var client, served, seen uint64
	for _, s := range p.samples() {
		worst = max(worst, math.Abs(float64(s.Agent.Requests)-float64(s.Served)))
		client, served, seen = client+s.Client, served+s.Served, seen+s.Agent.Requests
	}
	f := figure{Name: "requests miscounted", Unit: unitCount, Value: worst,
		Note: fmt.Sprintf("worst run; all runs: client %d, nginx %d, agent %d", client, served, seen)}
	return f.atMost(new(float64(connections)))
}

func (p planReport) lost() figure {
	var total uint64
	causes := make(map[string]uint64)
	for _, s := range p.samples() {
		total += s.Agent.lost
		for cause, n := range s.Agent.Lost {
			causes[cause] += n
		}
	}
	f := figure{Name: "records lost", Unit: unitCount, Value: float64(total)}
	if total > 0 {
		for _, cause := range slices.Sorted(maps.Keys(causes)) {
			f.Note += fmt.Sprintf("%s %d ", cause, causes[cause])
		}
	}
	return f.atMost(new(0.0))
}

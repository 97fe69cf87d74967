package main

import (
	"slices"
)

// The bounds of an error, in nanoseconds.
const (
	boundMedian   = 20_000
	boundP99      = 250_000
	boundP99Share = 100 // or one part in so many of the phase, where that is more
)

// series is the errors of one phase over the requests of a cell.
type series struct {
	errs         []int64 // absolute, in nanoseconds
	truth, agent []int64 // the durations themselves
	over         int     // requests whose error is above what p99 may be
	absent       int     // requests for which the agent has no such phase
	worst        sample
}

// sample is one request, for who wants to look it up. Durations are in
// nanoseconds.
type sample struct {
	ID    string `json:"id"`
	Truth int64  `json:"truth_ns"`
	Agent int64  `json:"agent_ns"`
	off   int64
}

func (s *series) add(id string, w window) {
	if w.agent == nil {
		s.absent++
		return
	}
	off := *w.agent - w.truth
	off = max(off, -off)
	s.errs = append(s.errs, off)
	if off > s.worst.off {
		s.worst = sample{id, w.truth, *w.agent, off}
	}
	s.truth, s.agent = append(s.truth, w.truth), append(s.agent, *w.agent)
	if off > max(boundP99, w.truth/boundP99Share) {
		s.over++
	}
}

// accuracy is what the report says of a phase. Its values are in microseconds.
type accuracy struct {
	P50 float64 `json:"p50_us"` // of the absolute error
	P99 float64 `json:"p99_us"`
	Max float64 `json:"max_us"`

	Truth  float64 `json:"truth_p50_us"` // the median duration
	Agent  float64 `json:"agent_p50_us"`
	Worst  sample  `json:"worst"` // the request with the largest error
	Absent int     `json:"absent,omitempty"`
	Within bool    `json:"within_bounds"`
}

func (s *series) accuracy() accuracy {
	slices.Sort(s.errs)
	slices.Sort(s.truth)
	slices.Sort(s.agent)
	median := rank(s.errs, 50)
	return accuracy{
		P50: micros(median), P99: micros(rank(s.errs, 99)), Max: micros(rank(s.errs, 100)),
		Truth: micros(rank(s.truth, 50)), Agent: micros(rank(s.agent, 50)),
		Worst:  s.worst,
		Absent: s.absent,
		Within: s.absent == 0 && len(s.errs) > 0 && median <= boundMedian && s.over <= len(s.errs)/100,
	}
}

// rank is the nearest-rank percentile of sorted values.
func rank(sorted []int64, percent int) int64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*percent+99)/100-1]
}

// micros is nanoseconds as microseconds with one decimal.
func micros(ns int64) float64 { return float64((ns+50)/100) / 10 }

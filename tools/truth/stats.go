package main

import (
	"slices"
)

// The bounds of an error, in nanoseconds.
const (
	boundMedian   = 20_000
	boundP99      = 250_000
	boundP99Share = 100 // or this fraction of the phase (1/100), if that is more
)

// series holds the errors of one phase for the requests of a cell.
type series struct {
	errs         []int64 // absolute, in nanoseconds
	truth, agent []int64 // the durations themselves
	over         int     // requests whose error is above the bound of p99
	absent       int     // requests for which the agent has no such phase
	worst        sample
}

// sample is one request, for looking it up. Durations are in nanoseconds.
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

// spread describes a distribution, in microseconds.
type spread struct {
	P50 float64 `json:"p50_us"`
	P99 float64 `json:"p99_us"`
	Max float64 `json:"max_us"`
}

// over returns the distribution of values in nanoseconds.
func over(values []int64) spread {
	slices.Sort(values)
	return spread{micros(rank(values, 50)), micros(rank(values, 99)), micros(rank(values, 100))}
}

// accuracy is the part of the report about a phase. Its values are in
// microseconds.
type accuracy struct {
	spread // of the absolute error

	Truth  float64 `json:"truth_p50_us"` // the median duration
	Agent  float64 `json:"agent_p50_us"`
	Worst  sample  `json:"worst"` // the request with the largest error
	Over   int     `json:"over"`  // requests whose error is above the bound of p99
	Absent int     `json:"absent,omitempty"`
	Within bool    `json:"within_bounds"`
	late   bool    // only its p99 is out of bounds
}

func (s *series) accuracy() accuracy {
	a := accuracy{
		spread: over(s.errs), Truth: over(s.truth).P50, Agent: over(s.agent).P50,
		Worst: s.worst, Over: s.over, Absent: s.absent,
	}
	usual := s.absent == 0 && len(s.errs) > 0 && rank(s.errs, 50) <= boundMedian
	seldom := s.over <= len(s.errs)/100
	a.Within, a.late = usual && seldom, usual && !seldom
	return a
}

// rank returns the nearest-rank percentile of sorted values.
func rank(sorted []int64, percent int) int64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*percent+99)/100-1]
}

// micros converts nanoseconds to microseconds with one decimal.
func micros(ns int64) float64 { return float64((ns+50)/100) / 10 }

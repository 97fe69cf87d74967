package main

import (
	"math"
	"slices"
)

// spread describes the values of one figure over all pairs.
type spread struct {
	Median float64 `json:"median"`
	Q1     float64 `json:"q1"`
	Q3     float64 `json:"q3"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	return spread{
		Median: quantile(sorted, 0.5),
		Q1:     quantile(sorted, 0.25),
		Q3:     quantile(sorted, 0.75),
		Min:    sorted[0],
		Max:    sorted[len(sorted)-1],
	}
}

// quantile interpolates between the two values next to the rank.
func quantile(sorted []float64, q float64) float64 {
	rank := q * float64(len(sorted)-1)
	below, fraction := math.Modf(rank)
	i := int(below)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + fraction*(sorted[i+1]-sorted[i])
}

// over returns the spread of f over all pairs.
func over[T any](pairs []pair[T], f func(pair[T]) float64) spread {
	values := make([]float64, len(pairs))
	for i, p := range pairs {
		values[i] = f(p)
	}
	return spreadOf(values)
}

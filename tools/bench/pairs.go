package main

import "context"

// pair is two consecutive runs.
type pair[T any] struct {
	Without T `json:"without"`
	With    T `json:"with"`
}

// interleave runs n pairs. Every other pair starts with the run with the agent,
// so that a machine that slowly becomes faster or slower favours neither side.
func interleave[T any](ctx context.Context, n int, without, with func(context.Context) (T, error)) ([]pair[T], error) {
	pairs := make([]pair[T], n)
	for i := range pairs {
		p := &pairs[i]
		type half struct {
			run  func(context.Context) (T, error)
			into *T
		}
		halves := [2]half{{without, &p.Without}, {with, &p.With}}
		if i%2 == 1 {
			halves[0], halves[1] = halves[1], halves[0]
		}
		for _, h := range halves {
			result, err := h.run(ctx)
			if err != nil {
				return nil, err
			}
			*h.into = result
		}
	}
	return pairs, nil
}

// Package slab reuses memory for values that are built again and again.
package slab

// Slab hands out values of T that do not move. After a Reset it hands out the
// same values again. What is built at every export is built from slabs, so that
// a steady stream allocates almost nothing.
type Slab[T any] struct {
	chunks [][]T
	used   int
}

const chunkSize = 64

// Next returns a value that may still hold what an earlier user left in it.
func (s *Slab[T]) Next() *T {
	chunk, index := s.used/chunkSize, s.used%chunkSize
	if chunk == len(s.chunks) {
		s.chunks = append(s.chunks, make([]T, chunkSize))
	}
	s.used++
	return &s.chunks[chunk][index]
}

// Used returns the number of values that are handed out.
func (s *Slab[T]) Used() int { return s.used }

// Reset makes all values available again.
func (s *Slab[T]) Reset() { s.used = 0 }

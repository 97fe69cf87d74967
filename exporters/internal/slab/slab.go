// Package slab hands out the same memory again and again.
package slab

// Slab hands out values of T that stay where they are, and all of them again
// after a Reset. What is built anew at every export is built from slabs, so
// that a steady stream of it allocates next to nothing.
type Slab[T any] struct {
	chunks [][]T
	used   int
}

const chunkSize = 64

// Next returns a value that may hold what an earlier user left in it.
func (s *Slab[T]) Next() *T {
	chunk, index := s.used/chunkSize, s.used%chunkSize
	if chunk == len(s.chunks) {
		s.chunks = append(s.chunks, make([]T, chunkSize))
	}
	s.used++
	return &s.chunks[chunk][index]
}

// Used is how many values are handed out.
func (s *Slab[T]) Used() int { return s.used }

// Reset makes all values available again.
func (s *Slab[T]) Reset() { s.used = 0 }

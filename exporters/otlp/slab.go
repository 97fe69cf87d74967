package otlp

// slab hands out values of T that stay where they are, and all of them again
// after a reset. Batches are built from slabs, so that a steady stream of
// spans allocates next to nothing.
type slab[T any] struct {
	chunks [][]T
	used   int
}

const slabChunk = 64

// next returns a value that may hold what an earlier user left in it.
func (s *slab[T]) next() *T {
	chunk, index := s.used/slabChunk, s.used%slabChunk
	if chunk == len(s.chunks) {
		s.chunks = append(s.chunks, make([]T, slabChunk))
	}
	s.used++
	return &s.chunks[chunk][index]
}

// reset makes all values available again.
func (s *slab[T]) reset() { s.used = 0 }

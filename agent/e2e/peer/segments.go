package peer

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// Segment is a piece of memory that a vectored call writes.
type Segment struct {
	Data   []byte
	Before []byte // the bytes before it in memory
}

// Segments returns segments without known bytes before them in memory.
func Segments(texts ...string) (all []Segment) {
	for _, text := range texts {
		all = append(all, Segment{Data: []byte(text)})
	}
	return all
}

// Preceded sets the bytes in memory before the last of the segments.
func Preceded(before string, all []Segment) []Segment {
	all = slices.Clone(all)
	all[len(all)-1].Before = []byte(before)
	return all
}

// WriteSegments writes the segments in one non-blocking vectored call. If the
// kernel took only some of the bytes, the rest follows after a poll for room.
func WriteSegments(all ...Segment) Step { return Step{Op: OpSegments, Segments: all} }

func (t *thread) writeSegments(s Step, fd int) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	defer func() { _ = unix.SetNonblock(fd, false) }()
	for rest := laidOut(s.Segments); len(rest) > 0; {
		n := 0
		err := t.carrying(s, func() (int, error) {
			var err error
			n, err = writev(fd, rest)
			return n, err
		})
		if errors.Is(err, unix.EAGAIN) {
			err = awaitRoom(fd)
		}
		if err != nil {
			return err
		}
		rest = advanced(rest, n)
	}
	return nil
}

// laidOut copies each segment into memory of its own, after the bytes that must
// precede it.
func laidOut(all []Segment) (data [][]byte) {
	for _, s := range all {
		if len(s.Data) > 0 {
			data = append(data, slices.Concat(s.Before, s.Data)[len(s.Before):])
		}
	}
	return data
}

// advanced returns what is left of the data after its first n bytes.
func advanced(data [][]byte, n int) [][]byte {
	for len(data) > 0 && n >= len(data[0]) {
		n, data = n-len(data[0]), data[1:]
	}
	if n > 0 {
		data[0] = data[0][n:]
	}
	return data
}

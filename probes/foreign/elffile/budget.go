package elffile

import (
	"errors"
	"io"
	"time"
)

// ErrBudget means that reading a file takes more than its budget.
var ErrBudget = errors.New("the file exceeds the limit of data to read from one file")

// Budget is what may be spent on one file, whatever is in it.
type Budget struct {
	Bytes    int64 // to read, in all
	Sections int   // headers of sections, and of segments
	Tables   int   // of symbols; a linker writes two
	Symbols  int   // in all tables
	Time     time.Duration
}

// DefaultBudget is enough for servers that were not stripped, with a margin: the symbols
// of a browser take 60 MB.
var DefaultBudget = Budget{Bytes: 96 << 20, Sections: 4096, Tables: 2, Symbols: 2 << 20, Time: time.Second}

// meter is a file that counts how much of it is read.
type meter struct {
	r        io.ReaderAt
	left     int64
	symbols  int
	deadline time.Time
}

func (m *meter) ReadAt(p []byte, at int64) (int, error) {
	if m.left -= int64(len(p)); m.left < 0 || time.Now().After(m.deadline) {
		return 0, ErrBudget
	}
	return m.r.ReadAt(p, at)
}

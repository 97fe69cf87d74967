package peer

import (
	"time"

	"lapwing/collectors/request"
)

// Stamp is one system call of a script. Before and After are nanoseconds of the
// monotonic clock. What the kernel did happened between them.
type Stamp struct {
	Label  string
	Op     Op
	Before int64
	After  int64
	N      int    // bytes carried, if the call carries bytes
	Err    string // why the call failed, if the script tolerates it
	PID    int
	TID    int
	Name   string // of a connect: the client's own address
}

// Stamps are the calls of the processes of a run, each process in order.
type Stamps []Stamp

// Labelled returns the stamps of one label in order.
func (s Stamps) Labelled(label string) Stamps {
	var found Stamps
	for _, st := range s {
		if st.Label == label {
			found = append(found, st)
		}
	}
	return found
}

// First returns the first stamp of the label, and whether there is one.
func (s Stamps) First(label string) (Stamp, bool) {
	for _, st := range s {
		if st.Label == label {
			return st, true
		}
	}
	return Stamp{}, false
}

// Last returns the last stamp of the label, and whether there is one.
func (s Stamps) Last(label string) (Stamp, bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i].Label == label {
			return s[i], true
		}
	}
	return Stamp{}, false
}

// Bytes returns the number of bytes that the calls of the label carried.
func (s Stamps) Bytes(label string) (n int) {
	for _, st := range s.Labelled(label) {
		n += st.N
	}
	return n
}

// Gaps returns the time between consecutive calls of the label: from the return
// of each to the start of the next.
func (s Stamps) Gaps(label string) (d time.Duration) {
	calls := s.Labelled(label)
	for i := 1; i < len(calls); i++ {
		d += time.Duration(calls[i].Before - calls[i-1].After)
	}
	return d
}

// now reads the clock of all stamps.
func now() int64 { return int64(request.Now()) }

package foreign

import (
	"errors"
	"fmt"
)

// Reason is why something of another user's was not read or not used.
type Reason string

// The reasons.
const (
	Gone        Reason = "gone"        // the process ended
	NoAnswer    Reason = "no_answer"   // within the deadline
	Busy        Reason = "busy"        // too many others have not answered
	Budget      Reason = "over_budget" // too much to read
	NotRegular  Reason = "not_regular" // a terminal, a pipe, a device, a link
	FileSystem  Reason = "file_system" // it can make its readers wait
	NotCached   Reason = "not_cached"  // the path to the file would have to be read
	Replaced    Reason = "replaced"    // the path leads to no file, or to another one
	NotELF      Reason = "not_elf"     // or a damaged one
	ReaderDied  Reason = "reader_died" // while it read the file
	NoReader    Reason = "no_reader"   // it could not be started, or could not be locked in
	Unreachable Reason = "unreachable" // any other error
)

// Refusal is an error with its reason.
type Refusal struct {
	Reason Reason
	Err    error // may be nil
}

func (r *Refusal) Error() string {
	if r.Err == nil {
		return string(r.Reason)
	}
	return fmt.Sprintf("%s: %v", r.Reason, r.Err)
}

func (r *Refusal) Unwrap() error { return r.Err }

func refuse(reason Reason, err error) error { return &Refusal{reason, err} }

// ReasonOf returns the reason of an error of this package.
func ReasonOf(err error) Reason {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Reason
	}
	return Unreachable
}

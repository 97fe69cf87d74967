package privilege

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// bequeathed is the capability that child processes start with, if the process
// keeps it. The children that read files of other users open the files with it,
// and then drop it.
const bequeathed = cap.DAC_READ_SEARCH

// Drop gives up every capability except those in keep, in all threads and
// permanently: the process cannot gain any by executing a program either.
// Capabilities in keep that the process does not have are ignored.
func Drop(keep ...cap.Value) error { return DropTo(nil, keep...) }

// DropTo is like Drop, and also changes to another user unless who is nil. The
// capabilities in keep are kept in that case too.
func DropTo(who *Identity, keep ...cap.Value) error {
	have := cap.GetProc()
	if err := dropBound(have, keep); err != nil {
		return err
	}
	if who != nil {
		if err := who.become(); err != nil {
			return err
		}
	}
	if err := cap.ResetAmbient(); err != nil {
		return fmt.Errorf("clear the ambient capabilities: %w", err)
	}
	if _, err := cap.Prctlw(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid gaining privileges (no_new_privs): %w", err)
	}
	want, err := subset(have, keep)
	if err != nil {
		return err
	}
	if err := want.SetProc(); err != nil {
		return fmt.Errorf("drop capabilities to %q: %w", want, err)
	}
	return nil
}

// dropBound empties the bounding set, except for bequeathed. The bounding set
// limits what a program can gain. Without CAP_SETPCAP it cannot be changed, and
// only no_new_privs protects.
func dropBound(have *cap.Set, keep []cap.Value) error {
	if !effective(have, cap.SETPCAP) {
		return nil
	}
	for v := range cap.MaxBits() {
		if held, err := cap.GetBound(v); err != nil || !held || v == bequeathed && slices.Contains(keep, v) {
			continue
		}
		if err := cap.DropBound(v); err != nil {
			return fmt.Errorf("drop %v from the bounding set: %w", v, err)
		}
	}
	return nil
}

// subset returns the capabilities of keep that are permitted in have, as
// permitted and effective.
func subset(have *cap.Set, keep []cap.Value) (*cap.Set, error) {
	want := cap.NewSet()
	for _, v := range keep {
		permitted, err := have.GetFlag(cap.Permitted, v)
		if err != nil {
			return nil, fmt.Errorf("keep capability %v: %w", v, err)
		}
		if !permitted {
			continue
		}
		for _, flag := range []cap.Flag{cap.Permitted, cap.Effective} {
			if err := want.SetFlag(flag, true, v); err != nil {
				return nil, fmt.Errorf("keep capability %v: %w", v, err)
			}
		}
	}
	return want, nil
}

package uprobe

import (
	"errors"
	"io"
	"slices"

	"lapwing/probes/foreign"
)

// The limits of the table of files that were looked into.
const (
	maxFiles        = 256
	filesPerUser    = 64
	filesPerProgram = 32 // of one user
)

// files is the table of files that were looked into. When it is full, the user who has
// most of it makes room for a user who has less.
type files map[foreign.FileID]*file

// file is a file that was looked into.
type file struct {
	id      foreign.FileID
	program string // the program whose process added it
	by      uint32 // the user of that process
	users   map[uint32]int
	probes  []io.Closer
}

func newFile(id foreign.FileID, p *process) *file {
	return &file{id: id, program: p.exe, by: p.user, users: map[uint32]int{}}
}

// room reports why there is no room for a file of a process, or the empty reason. out is
// the file that makes room.
func (t files) room(p *process) (out *file, why foreign.Reason) {
	ofUser, ofProgram := 0, 0
	for _, f := range t {
		if f.users[p.user] > 0 {
			ofUser++
		}
		if f.by == p.user && f.program == p.exe {
			ofProgram++
		}
	}
	switch {
	case ofUser >= filesPerUser:
		return nil, refusedUser
	case ofProgram >= filesPerProgram:
		return nil, refusedProgram
	case len(t) < maxFiles:
		return nil, ""
	}
	out, most := t.heaviest()
	if most <= ofUser+1 {
		return nil, refusedFull
	}
	return out, ""
}

// heaviest returns a file all of whose users have many files, and the lowest number of
// files among these users.
func (t files) heaviest() (*file, int) {
	load := map[uint32]int{}
	for _, f := range t {
		for user := range f.users {
			load[user]++
		}
	}
	var heaviest *file
	most := 0
	for _, f := range t {
		least := maxFiles
		for user := range f.users {
			least = min(least, load[user])
		}
		// Among equals, one without probes goes first.
		if least > most || least == most && heaviest != nil && len(f.probes) < len(heaviest.probes) {
			heaviest, most = f, least
		}
	}
	return heaviest, most
}

// use notes that a process runs the file.
func (f *file) use(p *process) {
	if !slices.Contains(p.files, f) {
		p.files = append(p.files, f)
		f.users[p.user]++
	}
}

// leave notes that a process of the user no longer runs the file, and reports whether no
// process does.
func (f *file) leave(user uint32) bool {
	if f.users[user]--; f.users[user] <= 0 {
		delete(f.users, user)
	}
	return len(f.users) == 0
}

func (f *file) close() error {
	var errs []error
	for _, p := range f.probes {
		errs = append(errs, p.Close())
	}
	f.probes = nil
	return errors.Join(errs...)
}

package marker

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"
)

// procRoot is where the process table is mounted.
const procRoot = "/proc"

// deleted is what the kernel adds to the name of a file that is gone.
const deleted = " (deleted)"

// program is the path of a process's executable, empty if it cannot be read:
// kernel threads have none, and the process may be gone.
func program(pid int) string {
	exe, err := os.Readlink(procPath(pid, "exe"))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(exe, deleted)
}

func procPath(pid int, name string) string {
	return filepath.Join(procRoot, strconv.Itoa(pid), name)
}

// fileID tells files apart, whatever path and namespace they are seen from.
type fileID struct {
	dev, ino uint64
}

// candidate is a file that a process runs code of and that may hold markers.
type candidate struct {
	path    string // as the process sees it
	reach   string // as the agent does
	markers []Marker
}

// candidates lists the files of a process that may hold one of the markers.
func candidates(pid int, exe string, markers []Marker) ([]candidate, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return nil, err
	}
	maps, err := proc.ProcMaps()
	if err != nil {
		return nil, err
	}
	var found []candidate
	seen := map[string]bool{}
	for _, m := range maps {
		name := strings.TrimSuffix(m.Pathname, deleted)
		if !m.Perms.Execute || seen[name] || !strings.HasPrefix(name, "/") {
			continue
		}
		seen[name] = true
		if in := holding(markers, exe, name); len(in) > 0 {
			found = append(found, candidate{path: name, reach: reach(pid, exe, name), markers: in})
		}
	}
	return found, nil
}

// holding lists the markers that a file may hold, by its name.
func holding(markers []Marker, exe, file string) []Marker {
	var in []Marker
	for _, m := range markers {
		if m.in(filepath.Base(exe), filepath.Base(file)) {
			in = append(in, m)
		}
	}
	return in
}

// reach is a path to a file of a process, which may live in a container. The
// executable can be reached even if it was replaced since.
func reach(pid int, exe, file string) string {
	if file == exe {
		return procPath(pid, "exe")
	}
	return filepath.Join(procPath(pid, "root"), file)
}

// open opens a candidate without ever waiting: what stands there now need not
// be what the process runs.
func (c candidate) open() (*os.File, fileID, error) {
	f, err := os.OpenFile(c.reach, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fileID{}, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: c.reach, Err: fs.ErrInvalid}
	}
	if err != nil {
		_ = f.Close()
		return nil, fileID{}, err
	}
	st := info.Sys().(*syscall.Stat_t)
	return f, fileID{uint64(st.Dev), st.Ino}, nil
}

// handle is a path that leads to the open file, whatever became of its name.
func handle(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

package foreign

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"
)

// procRoot is where the process table is mounted.
const procRoot = "/proc"

func procPath(pid int, name string) string {
	return filepath.Join(procRoot, strconv.Itoa(pid), name)
}

// Program returns the path of a process's executable. It is empty if it cannot be read:
// kernel threads have none, and the process may be gone. Program does not block.
func Program(pid int) string {
	exe, err := os.Readlink(procPath(pid, "exe"))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(exe, deleted)
}

// User returns who started a process: its real user id, which does not change in a
// program that runs with the privileges of another user. A user who has taken further
// ids, in a user namespace, counts as himself. User does not block.
func User(pid int) (uint32, error) {
	if owner, ok := namespaceOwner(pid); ok {
		return owner, nil
	}
	f, err := os.Open(procPath(pid, "status"))
	if err != nil {
		return 0, refuse(Gone, err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, 8<<10))
	if err != nil {
		return 0, refuse(Gone, err)
	}
	return realUser(raw)
}

// realUser finds the real user id in the text of /proc/PID/status. A command name cannot
// contain a line break there: the kernel escapes it.
func realUser(status []byte) (uint32, error) {
	for line := range bytes.Lines(status) {
		if ids, ok := bytes.CutPrefix(line, []byte("Uid:")); ok {
			fields := bytes.Fields(ids)
			if len(fields) == 0 {
				break
			}
			id, err := strconv.ParseUint(string(fields[0]), 10, 32)
			return uint32(id), err
		}
	}
	return 0, refuse(Unreachable, errors.New("the status of the process contains no user ID"))
}

func addressOf(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

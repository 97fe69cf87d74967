package sandbox

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// calls is the number of counters. The last one counts system calls with higher
// numbers, and those of other architectures.
const calls = 512

// counts are the refused system calls by number, in memory that the agent
// shares with its helper. Reading it does not block.
type counts [calls]atomic.Uint64

const countsSize = int(unsafe.Sizeof(counts{}))

// newCounts creates counts and the file that shares them.
func newCounts() (*counts, *os.File, error) {
	fd, err := unix.MemfdCreate("lapwing-refused", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "refused")
	if err := f.Truncate(int64(countsSize)); err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	c, err := mapCounts(fd)
	if err != nil {
		_ = f.Close()
		return nil, nil, err
	}
	return c, f, nil
}

// mapCounts maps shared counts. The mapping stays until the process ends.
func mapCounts(fd int) (*counts, error) {
	raw, err := unix.Mmap(fd, 0, countsSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return (*counts)(unsafe.Pointer(unsafe.SliceData(raw))), nil
}

// add counts a call of an architecture.
func (c *counts) add(architecture uint32, nr int32) {
	if own, err := arch.GetInfo(""); err != nil || uint32(own.ID) != architecture || nr < 0 || nr >= calls {
		nr = calls - 1
	}
	c[nr].Add(1)
}

// byName returns the counts that are not zero, by name of the system call.
func (c *counts) byName() map[string]uint64 {
	all := map[string]uint64{}
	for nr := range c {
		if n := c[nr].Load(); n > 0 {
			all[name(nr)] = n
		}
	}
	return all
}

func name(nr int) string {
	if nr == calls-1 {
		return "other"
	}
	if own, err := arch.GetInfo(""); err == nil {
		if name, ok := own.SyscallNumbers[nr]; ok {
			return name
		}
	}
	return fmt.Sprintf("nr_%d", nr)
}

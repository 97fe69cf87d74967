package uprobes

import (
	"debug/elf"
	"errors"
)

// offsetOf is where in the file what lies at an address of this program is.
func offsetOf(address uintptr) (uint64, error) {
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && uint64(address) >= p.Vaddr && uint64(address) < p.Vaddr+p.Filesz {
			return uint64(address) - p.Vaddr + p.Off, nil
		}
	}
	return 0, errors.New("the address is not in the file")
}

package uprobes

import (
	"debug/elf"
	"errors"
)

// offsetOf returns the file offset of an address in this program.
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

package attack

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// SparseSize is the apparent size of a SparseModule, in bytes.
const SparseSize = 400 << 20

// SparseModule writes a module of which almost nothing is stored: symbol tables
// that are each below the limit for one table, and that share one huge table of
// names.
func SparseModule(file string, tables int, names uint64) error {
	const sections = 4096
	var b bytes.Buffer
	write(&b, header(sections, tables+1))
	b.Write(make([]byte, sections-b.Len()))
	write(&b, elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: 1 << 20, Size: names})
	for range tables {
		write(&b, elf.Section64{Type: uint32(elf.SHT_SYMTAB), Off: 1 << 20, Size: 24 << 10, Entsize: 24})
	}
	if err := os.WriteFile(file, b.Bytes(), 0o755); err != nil {
		return err
	}
	return os.Truncate(file, SparseSize)
}

// Module writes a small module that contains the function.
func Module(file, function string) error {
	const headers, code, names, page = 64 + 56 + 2*64 + 24, 1024, 2048, 4096
	head := header(64+56, 2)
	head.Phentsize, head.Phoff, head.Phnum = 56, 64, 1
	var b bytes.Buffer
	write(&b, head)
	write(&b, elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Filesz: page, Memsz: page, Align: page})
	write(&b, elf.Section64{Type: uint32(elf.SHT_DYNSYM), Link: 1, Off: headers - 24, Size: 24, Entsize: 24})
	write(&b, elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: names, Size: uint64(len(function) + 2)})
	write(&b, elf.Sym64{Name: 1, Info: byte(elf.STT_FUNC), Value: code, Size: 8})
	raw := make([]byte, page)
	copy(raw, b.Bytes())
	copy(raw[code:], "\x55\x48\x89\xe5\x5d\xc3") // push rbp; mov rbp, rsp; pop rbp; ret
	copy(raw[names+1:], function)
	return os.WriteFile(file, raw, 0o755)
}

// header returns the header of a module with this number of sections.
func header(at uint64, sections int) elf.Header64 {
	head := elf.Header64{
		Type: uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: 1, Ehsize: 64, Shentsize: 64,
		Shoff: at, Shnum: uint16(sections),
	}
	copy(head.Ident[:], elf.ELFMAG)
	head.Ident[elf.EI_CLASS], head.Ident[elf.EI_DATA], head.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	return head
}

// write adds a part of a file. Parts have a fixed size, so it cannot fail.
func write(b *bytes.Buffer, part any) { _ = binary.Write(b, binary.LittleEndian, part) }

// Map maps a file as a program maps its libraries.
func Map(file string) ([]byte, error) {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)
}

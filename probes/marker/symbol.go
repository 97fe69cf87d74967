package marker

import (
	"bufio"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// The limits of what is read of a file, which may be hostile: whoever may
// start a process on the host can name it like a server.
const (
	maxFile    = 512 << 20
	maxHeaders = 4096
	maxStrings = 64 << 20
)

var (
	errNoSymbol = errors.New("the file has no such function")
	errBounds   = errors.New("a part of the file lies outside of it, or is larger than what is read")
)

// image is an ELF file. debug/elf would read all names of all sections and
// symbols into memory, of which a file of a few megabytes can have terabytes.
type image struct {
	r    io.ReaderAt
	size uint64
	head elf.Header64
}

// openImage reads the ELF header of a regular file.
func openImage(f *os.File) (*image, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("not a regular file of at most %d bytes", maxFile)
	}
	m := &image{r: f, size: uint64(info.Size())}
	if err := m.decode(0, &m.head); err != nil {
		return nil, err
	}
	id := m.head.Ident
	if string(id[:4]) != elf.ELFMAG || elf.Class(id[elf.EI_CLASS]) != elf.ELFCLASS64 || elf.Data(id[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return nil, errors.New("not a 64-bit little-endian ELF file")
	}
	if m.head.Shnum > maxHeaders || m.head.Phnum > maxHeaders {
		return nil, errBounds
	}
	return m, nil
}

// decode reads a structure of the file.
func (m *image) decode(at uint64, to any) error {
	part, err := m.part(at, uint64(binary.Size(to)))
	if err != nil {
		return err
	}
	return binary.Read(part, binary.LittleEndian, to)
}

// part is a piece of the file.
func (m *image) part(at, n uint64) (*io.SectionReader, error) {
	if at > m.size || n > m.size-at {
		return nil, errBounds
	}
	return io.NewSectionReader(m.r, int64(at), int64(n)), nil
}

// spot is where in a file a probe is to stand.
type spot struct {
	offset uint64
	cheap  bool // see place
}

// function finds the spot at the begin of a function.
func (m *image) function(name string) (spot, error) {
	sections := make([]elf.Section64, m.head.Shnum)
	if err := m.decode(m.head.Shoff, sections); err != nil {
		return spot{}, err
	}
	for _, s := range sections {
		if t := elf.SectionType(s.Type); t != elf.SHT_SYMTAB && t != elf.SHT_DYNSYM || int(s.Link) >= len(sections) {
			continue
		}
		address, err := m.lookUp(s, sections[s.Link], name)
		if err == nil {
			return m.spot(address)
		}
		if !errors.Is(err, errNoSymbol) {
			return spot{}, err
		}
	}
	return spot{}, errNoSymbol
}

// lookUp finds the address of a function in a table of symbols.
func (m *image) lookUp(table, names elf.Section64, name string) (uint64, error) {
	if names.Size > maxStrings {
		return 0, errBounds
	}
	text, err := m.bytes(names)
	if err != nil {
		return 0, err
	}
	part, err := m.part(table.Off, table.Size)
	if err != nil {
		return 0, err
	}
	symbols := bufio.NewReaderSize(part, 64<<10)
	var raw [elf.Sym64Size]byte
	for {
		if _, err := io.ReadFull(symbols, raw[:]); err != nil {
			return 0, errNoSymbol // the end of the table
		}
		at := uint64(binary.LittleEndian.Uint32(raw[0:]))
		address := binary.LittleEndian.Uint64(raw[8:])
		if elf.ST_TYPE(raw[4]) == elf.STT_FUNC && address != 0 && isName(text, at, name) {
			return address, nil
		}
	}
}

func (m *image) bytes(s elf.Section64) ([]byte, error) {
	part, err := m.part(s.Off, s.Size)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(part)
}

// isName reports whether the string that begins there is name.
func isName(text []byte, at uint64, name string) bool {
	n := uint64(len(name))
	return at < uint64(len(text)) && uint64(len(text))-at > n && string(text[at:at+n]) == name && text[at+n] == 0
}

// spot turns the address of a function into a place in the file.
func (m *image) spot(address uint64) (spot, error) {
	segments := make([]elf.Prog64, m.head.Phnum)
	if err := m.decode(m.head.Phoff, segments); err != nil {
		return spot{}, err
	}
	for _, s := range segments {
		if elf.ProgType(s.Type) != elf.PT_LOAD || elf.ProgFlag(s.Flags)&elf.PF_X == 0 {
			continue
		}
		if address < s.Vaddr || address-s.Vaddr >= s.Filesz {
			continue
		}
		at := address - s.Vaddr + s.Off
		code := make([]byte, min(maxPrologue, s.Filesz-(address-s.Vaddr)))
		if err := m.decode(at, code); err != nil {
			return spot{}, err
		}
		behind, cheap := place(elf.Machine(m.head.Machine), code)
		return spot{at + behind, cheap}, nil
	}
	return spot{}, errors.New("the function lies in no executable part of the file")
}

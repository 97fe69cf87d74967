package elffile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"time"
)

// The errors about a file, besides ErrBudget.
var (
	ErrNotELF  = errors.New("not a 64-bit little-endian ELF file")
	ErrBounds  = errors.New("the file refers to data beyond its end")
	ErrRepeats = errors.New("a name appears too often in a string table")
)

// chunk is how much of a table is in memory at a time.
const chunk = 64 << 10

// maxPlaces is how often a name may occur in a table of names. Linkers store it once.
const maxPlaces = 64

// image is an ELF file. debug/elf would read all names of all sections and symbols into
// memory, and a file of a few megabytes can have terabytes of these.
type image struct {
	meter  *meter
	budget Budget
	size   uint64
	head   elf.Header64
}

// Spot is the place in a file where a probe goes.
type Spot struct {
	Offset uint64 `json:"offset"`
	Cheap  bool   `json:"cheap"` // see place
}

// Functions finds the spots at the start of functions, as far as the file has them.
func Functions(r io.ReaderAt, size int64, names []string, budget Budget) (map[string]Spot, error) {
	m, err := open(r, size, budget)
	if err != nil {
		return nil, err
	}
	return m.functions(names)
}

func open(r io.ReaderAt, size int64, budget Budget) (*image, error) {
	m := &image{
		meter:  &meter{r: r, left: budget.Bytes, symbols: budget.Symbols, deadline: time.Now().Add(budget.Time)},
		budget: budget, size: uint64(max(0, size)),
	}
	if err := m.decode(0, &m.head); err != nil {
		return nil, err
	}
	id := m.head.Ident
	if string(id[:4]) != elf.ELFMAG || elf.Class(id[elf.EI_CLASS]) != elf.ELFCLASS64 || elf.Data(id[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return nil, ErrNotELF
	}
	if int(m.head.Shnum) > budget.Sections || int(m.head.Phnum) > budget.Sections {
		return nil, ErrBudget
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

// part returns a piece of the file.
func (m *image) part(at, n uint64) (*io.SectionReader, error) {
	if at > m.size || n > m.size-at {
		return nil, ErrBounds
	}
	return io.NewSectionReader(m.meter, int64(at), int64(n)), nil
}

func (m *image) functions(names []string) (map[string]Spot, error) {
	sections := make([]elf.Section64, m.head.Shnum)
	if err := m.decode(m.head.Shoff, sections); err != nil {
		return nil, err
	}
	tables, err := m.tables(sections)
	if err != nil {
		return nil, err
	}
	found := map[string]Spot{}
	for _, t := range tables {
		missing := slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, ok := found[name]; return ok })
		if len(missing) == 0 {
			break
		}
		addresses, err := m.lookUp(t, sections[t.Link], missing)
		if err != nil {
			return nil, err
		}
		for name, address := range addresses {
			if found[name], err = m.spot(address); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// tables returns the sections that hold symbols.
func (m *image) tables(sections []elf.Section64) ([]elf.Section64, error) {
	var tables []elf.Section64
	for _, s := range sections {
		if t := elf.SectionType(s.Type); t != elf.SHT_SYMTAB && t != elf.SHT_DYNSYM || int64(s.Link) >= int64(len(sections)) {
			continue
		}
		if tables = append(tables, s); len(tables) > m.budget.Tables {
			return nil, ErrBudget
		}
	}
	return tables, nil
}

// lookUp finds the addresses of functions in a table of symbols: first the places of
// their names, then the symbols that refer to these places.
func (m *image) lookUp(table, strings elf.Section64, names []string) (map[string]uint64, error) {
	places, err := m.places(strings, names)
	if err != nil || len(places) == 0 {
		return nil, err
	}
	part, err := m.part(table.Off, table.Size)
	if err != nil {
		return nil, err
	}
	found := map[string]uint64{}
	buf := make([]byte, chunk/elf.Sym64Size*elf.Sym64Size)
	for len(found) < len(names) {
		n, err := io.ReadFull(part, buf)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, err
		}
		if m.meter.symbols -= n / elf.Sym64Size; m.meter.symbols < 0 {
			return nil, ErrBudget
		}
		for raw := range slices.Chunk(buf[:n/elf.Sym64Size*elf.Sym64Size], elf.Sym64Size) {
			note(found, places, raw)
		}
		if err != nil {
			break // the end of the table
		}
	}
	return found, nil
}

// note takes the first symbol of each function.
func note(found map[string]uint64, places map[uint32]string, raw []byte) {
	name, ok := places[binary.LittleEndian.Uint32(raw)]
	address := binary.LittleEndian.Uint64(raw[8:])
	if !ok || elf.ST_TYPE(raw[4]) != elf.STT_FUNC || address == 0 {
		return
	}
	if _, ok := found[name]; !ok {
		found[name] = address
	}
}

// places finds the places of names in a table of names. A name can also be the end of a
// longer one, as linkers store them.
func (m *image) places(table elf.Section64, names []string) (map[uint32]string, error) {
	part, err := m.part(table.Off, table.Size)
	if err != nil {
		return nil, err
	}
	if table.Size > 1<<32 {
		return nil, ErrBudget
	}
	places := map[uint32]string{}
	keep := 0 // how much of the previous chunk a name can start in
	for _, name := range names {
		keep = max(keep, len(name))
	}
	buf := make([]byte, keep+chunk)
	have, base := 0, uint64(0) // how much of buf is filled, and where in the table it starts
	for {
		n, err := io.ReadFull(part, buf[have:])
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, err
		}
		have += n
		for _, name := range names {
			if err := search(places, buf[:have], base, name); err != nil {
				return nil, err
			}
		}
		if err != nil {
			return places, nil
		}
		rest := min(keep, have)
		copy(buf, buf[have-rest:have])
		base += uint64(have - rest)
		have = rest
	}
}

// search notes where a name, with its terminating zero, occurs in a piece of a table.
func search(places map[uint32]string, text []byte, base uint64, name string) error {
	whole := append([]byte(name), 0)
	for at := 0; ; at++ {
		i := bytes.Index(text[at:], whole)
		if i < 0 {
			return nil
		}
		at += i
		places[uint32(base)+uint32(at)] = name
		if len(places) > maxPlaces {
			return ErrRepeats
		}
	}
}

// spot translates the address of a function into a place in the file.
func (m *image) spot(address uint64) (Spot, error) {
	segments := make([]elf.Prog64, m.head.Phnum)
	if err := m.decode(m.head.Phoff, segments); err != nil {
		return Spot{}, err
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
			return Spot{}, err
		}
		after, cheap := place(elf.Machine(m.head.Machine), code)
		return Spot{at + after, cheap}, nil
	}
	return Spot{}, ErrBounds
}

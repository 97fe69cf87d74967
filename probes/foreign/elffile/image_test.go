package elffile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/tools/fuzzing"
)

const ownSymbol = "main.marked"

// napper builds a program; go test strips its own.
func napper(t *testing.T) *os.File {
	t.Helper()
	file := filepath.Join(t.TempDir(), "napper")
	out, err := exec.Command("go", "build", "-o", file, "testdata/napper.go").CombinedOutput()
	require.NoError(t, err, string(out))
	f, err := os.Open(file)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// in looks for functions in a file.
func in(t *testing.T, f *os.File, names ...string) (map[string]Spot, error) {
	t.Helper()
	info, err := f.Stat()
	require.NoError(t, err)
	return Functions(f, info.Size(), names, DefaultBudget)
}

// TestFunctionIsWhereTheLibrarySaysItIs compares with debug/elf.
func TestFunctionIsWhereTheLibrarySaysItIs(t *testing.T) {
	f := napper(t)
	found, err := in(t, f, ownSymbol, "main.marke", "main.step")
	require.NoError(t, err)
	require.Len(t, found, 2, "a name's beginning is not the name")
	spot := found[ownSymbol]

	library, err := elf.NewFile(f)
	require.NoError(t, err)
	symbols, err := library.Symbols()
	require.NoError(t, err)
	var want uint64
	for _, s := range symbols {
		for _, p := range library.Progs {
			if s.Name == ownSymbol && p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 {
				want = s.Value - p.Vaddr + p.Off
			}
		}
	}
	require.NotZero(t, want)
	require.Contains(t, []uint64{6, 12}, spot.Offset-want, "behind the check of the stack on amd64, arm64")
	require.True(t, spot.Cheap)
}

// stuff is a small ELF file with one function. change makes it hostile.
type stuff struct {
	head     elf.Header64
	segment  elf.Prog64
	sections [2]elf.Section64
	symbol   elf.Sym64
	names    [8]byte
	code     [4]byte
}

func newStuff() stuff {
	const head, segment, section, symbol = 64, 56, 64, 24
	names := uint64(head + segment + 2*section + symbol)
	s := stuff{
		head:    elf.Header64{Machine: uint16(elf.EM_X86_64), Phoff: head, Phnum: 1, Shoff: head + segment, Shnum: 2},
		segment: elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_X), Vaddr: 0x1000, Off: names + 8, Filesz: 4},
		sections: [2]elf.Section64{
			{Type: uint32(elf.SHT_DYNSYM), Link: 1, Off: names - symbol, Size: symbol},
			{Type: uint32(elf.SHT_STRTAB), Off: names, Size: 8},
		},
		symbol: elf.Sym64{Name: 1, Info: byte(elf.STT_FUNC), Value: 0x1000},
		names:  [8]byte{0, 'm', 'a', 'r', 'k'},
		code:   [4]byte{0x55},
	}
	copy(s.head.Ident[:], elf.ELFMAG)
	s.head.Ident[elf.EI_CLASS], s.head.Ident[elf.EI_DATA] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB)
	return s
}

// bytes returns the file.
func (s stuff) bytes() []byte {
	var b bytes.Buffer
	for _, part := range []any{s.head, s.segment, s.sections, s.symbol, s.names, s.code} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err) // the types have a fixed size
		}
	}
	return b.Bytes()
}

// search looks for the function mark in the file.
func (s stuff) search() (Spot, error) {
	raw := s.bytes()
	found, err := Functions(bytes.NewReader(raw), int64(len(raw)), []string{"mark"}, DefaultBudget)
	if err == nil && len(found) == 0 {
		err = errNone
	}
	return found["mark"], err
}

var errNone = errors.New("no such function")

func TestSpotInASmallFile(t *testing.T) {
	s := newStuff()
	at, err := s.search()
	require.NoError(t, err)
	require.Equal(t, Spot{s.segment.Off, true}, at)
	s.code = [4]byte{0x48, 0x89, 0xe5, 0x55} // starts with mov rbp, rsp
	at, err = s.search()
	require.NoError(t, err)
	require.Equal(t, Spot{s.segment.Off, false}, at, "a push that the file cuts")
}

func TestHostileFiles(t *testing.T) {
	const far = uint64(1) << 63
	for name, change := range map[string]func(*stuff){
		"no ELF":                func(s *stuff) { s.head.Ident[0] = 'x' },
		"32 bits":               func(s *stuff) { s.head.Ident[elf.EI_CLASS] = byte(elf.ELFCLASS32) },
		"sections outside":      func(s *stuff) { s.head.Shoff = far },
		"sections at the end":   func(s *stuff) { s.head.Shoff = ^uint64(0) },
		"too many sections":     func(s *stuff) { s.head.Shnum = 0xffff },
		"segments outside":      func(s *stuff) { s.head.Phoff = far },
		"symbols outside":       func(s *stuff) { s.sections[0].Off = far },
		"endless symbols":       func(s *stuff) { s.sections[0].Size = ^uint64(0) },
		"names outside":         func(s *stuff) { s.sections[1].Off = far },
		"endless names":         func(s *stuff) { s.sections[1].Size = ^uint64(0) },
		"names of no section":   func(s *stuff) { s.sections[0].Link = 7 },
		"name outside":          func(s *stuff) { s.symbol.Name = 0xffffffff },
		"name without an end":   func(s *stuff) { s.names = [8]byte{0, 'm', 'a', 'r', 'k', 'm', 'a', 'r'} },
		"no function":           func(s *stuff) { s.symbol.Info = byte(elf.STT_OBJECT) },
		"imported":              func(s *stuff) { s.symbol.Value = 0 },
		"code in no segment":    func(s *stuff) { s.symbol.Value = 0x9999 },
		"code below a segment":  func(s *stuff) { s.symbol.Value = 0xfff },
		"code is data":          func(s *stuff) { s.segment.Flags = uint32(elf.PF_R) },
		"code outside the file": func(s *stuff) { s.segment.Off = far },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStuff()
			change(&s)
			_, err := s.search()
			require.Error(t, err)
		})
	}
}

// counted counts what is read of a file that is zeros after a head.
type counted struct {
	head []byte
	read int
}

func (c *counted) ReadAt(p []byte, at int64) (int, error) {
	c.read += len(p)
	clear(p)
	if at < int64(len(c.head)) {
		copy(p, c.head[at:])
	}
	return len(p), nil
}

// TestBudgetHoldsInAll has files that keep every limit of a single part. A sparse file,
// of which nothing is stored on the disk, can be like that.
func TestBudgetHoldsInAll(t *testing.T) {
	for name, tt := range map[string]struct {
		tables int
		size   uint64 // of each table
		names  uint64
	}{
		"4,095 tables of symbols":      {4095, 24, 63 << 20},
		"names over the budget":        {1, 24, 200 << 20},
		"two tables over it together":  {2, 24, 60 << 20},
		"names that are no 32-bit one": {1, 24, 1 << 33},
		"symbols over it":              {1, 390 << 20, 6},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStuff()
			s.head.Shnum = uint16(tt.tables + 1)
			s.head.Shoff = 1024
			var b bytes.Buffer
			b.Write(s.bytes())
			b.Write(make([]byte, 1024-b.Len()))
			names := elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: 512 << 10, Size: tt.names}
			require.NoError(t, binary.Write(&b, binary.LittleEndian, names))
			for range tt.tables {
				symbols := elf.Section64{Type: uint32(elf.SHT_SYMTAB), Off: 600 << 10, Size: tt.size}
				require.NoError(t, binary.Write(&b, binary.LittleEndian, symbols))
			}
			b.Write(make([]byte, 512<<10-b.Len()))
			b.WriteString("\x00mark\x00")
			file := &counted{head: b.Bytes()}
			budget := DefaultBudget
			budget.Time = time.Minute // the limit is not the time
			_, err := Functions(file, 9<<30, []string{"mark"}, budget)
			require.ErrorIs(t, err, ErrBudget)
			require.LessOrEqual(t, int64(file.read), budget.Bytes+chunk)
		})
	}
}

// TestMemoryDoesNotFollowTheFile reads the whole budget.
func TestMemoryDoesNotFollowTheFile(t *testing.T) {
	s := newStuff()
	s.sections[1].Size = uint64(DefaultBudget.Bytes) - 1<<20
	file := &counted{head: s.bytes()}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Functions(file, 1<<30, []string{"other"}, DefaultBudget)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Greater(t, file.read, 90<<20)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

// TestTimeIsPartOfTheBudget has a file that answers slowly.
func TestTimeIsPartOfTheBudget(t *testing.T) {
	s := newStuff()
	s.sections[1].Size = 64 << 20
	budget := DefaultBudget
	budget.Time = -time.Second
	_, err := Functions(&counted{head: s.bytes()}, 1<<30, []string{"mark"}, budget)
	require.ErrorIs(t, err, ErrBudget)
}

// TestNamesAcrossChunks has names at every position around the end of a chunk.
func TestNamesAcrossChunks(t *testing.T) {
	for at := chunk - 8; at < chunk+24; at++ {
		s := newStuff()
		table := make([]byte, 3*chunk)
		copy(table[at:], "mark\x00")
		s.symbol.Name = uint32(at)
		s.sections[1].Off, s.sections[1].Size = 1024, uint64(len(table))
		raw := append(s.bytes(), make([]byte, 1024)...)[:1024]
		raw = append(raw, table...)
		found, err := Functions(bytes.NewReader(raw), int64(len(raw)), []string{"mark", "a longer name that is absent"}, DefaultBudget)
		require.NoError(t, err)
		require.Len(t, found, 1, at)
	}
}

// elfBudget is what a file may cost, whatever its size: the parts of it that are kept,
// and the symbols that are looked at.
var elfBudget = fuzzing.Budget{Bytes: 1 << 20, Time: time.Second}

// FuzzFunctions checks that the reader of a file ends, within its budget, whatever the
// file contains, and that what it finds lies in the file.
func FuzzFunctions(f *testing.F) {
	f.Add(newStuff().bytes(), "mark")
	costly := newStuff()
	costly.code = [4]byte{0x48, 0x89, 0xe5, 0x55}
	f.Add(costly.bytes(), "mark")
	arm := newStuff()
	arm.head.Machine = uint16(elf.EM_AARCH64)
	f.Add(arm.bytes(), "mark")
	f.Fuzz(func(t *testing.T, raw []byte, name string) {
		if len(name) > 1<<10 {
			return
		}
		budget := Budget{Bytes: 1 << 20, Sections: 64, Tables: 2, Symbols: 1 << 10, Time: time.Minute}
		file := &counted{head: raw}
		var found map[string]Spot
		var err error
		elfBudget.Within(t, func() { found, err = Functions(file, int64(len(raw)), []string{name}, budget) })
		assert.LessOrEqual(t, int64(file.read), budget.Bytes, "too many bytes were read")
		if err != nil {
			assert.Empty(t, found, "an error and spots")
		}
		for _, spot := range found {
			assert.Less(t, spot.Offset, uint64(len(raw))+maxPrologue, "%v lies outside of %d bytes", spot, len(raw))
		}
	})
}

// FuzzFields checks the same for files that are complete except for the values of a few
// fields.
func FuzzFields(f *testing.F) {
	s := newStuff()
	f.Add(s.head.Shoff, s.head.Shnum, s.sections[0].Off, s.sections[0].Size, s.sections[0].Link, s.sections[1].Off, s.sections[1].Size,
		s.symbol.Name, s.symbol.Value, s.segment.Vaddr, s.segment.Off, s.segment.Filesz)
	f.Add(s.head.Shoff, s.head.Shnum, s.sections[0].Off, ^uint64(0), uint32(1), s.sections[1].Off, uint64(1)<<40,
		uint32(1), ^uint64(0), uint64(1), ^uint64(0), ^uint64(0))
	f.Fuzz(func(t *testing.T, shoff uint64, shnum uint16, symOff, symSize uint64, link uint32, strOff, strSize uint64, name uint32, value, vaddr, off, filesz uint64) {
		s := newStuff()
		s.head.Shoff, s.head.Shnum = shoff, shnum
		s.sections[0].Off, s.sections[0].Size, s.sections[0].Link = symOff, symSize, link
		s.sections[1].Off, s.sections[1].Size = strOff, strSize
		s.symbol.Name, s.symbol.Value = name, value
		s.segment.Vaddr, s.segment.Off, s.segment.Filesz = vaddr, off, filesz
		budget := Budget{Bytes: 1 << 20, Sections: 64, Tables: 2, Symbols: 1 << 10, Time: time.Minute}
		file := &counted{head: s.bytes()}
		var found map[string]Spot
		var err error
		elfBudget.Within(t, func() { found, err = Functions(file, 1<<40, []string{"mark"}, budget) })
		assert.LessOrEqual(t, int64(file.read), budget.Bytes, "too many bytes were read")
		if err != nil {
			assert.Empty(t, found, "an error and spots")
		}
	})
}

package marker

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const ownSymbol = "main.marked"

// buildNapper builds a program once; go test strips its own.
var buildNapper = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "marker")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "napper")
	if out, err := exec.Command("go", "build", "-o", file, "testdata/napper.go").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(file)
})

// napper is the program under a name of its own.
func napper(t *testing.T, name string) string {
	code, err := buildNapper()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, code, 0o700))
	return file
}

// TestFunctionIsWhereTheLibrarySaysItIs compares with debug/elf.
func TestFunctionIsWhereTheLibrarySaysItIs(t *testing.T) {
	f, err := os.Open(napper(t, "napper"))
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	img, err := openImage(f)
	require.NoError(t, err)
	spot, err := img.function(ownSymbol)
	require.NoError(t, err)

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
	require.Contains(t, []uint64{6, 12}, spot.offset-want, "behind the check of the stack on amd64, arm64")
	require.True(t, spot.cheap)

	_, err = img.function("main.marke")
	require.ErrorIs(t, err, errNoSymbol, "a name's beginning is not the name")
}

// stuff is a small ELF file with one function, as hostile as change makes it.
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

// search writes the file and looks for the function mark in it.
func (s stuff) search(t *testing.T) (spot, error) {
	var b bytes.Buffer
	for _, part := range []any{s.head, s.segment, s.sections, s.symbol, s.names, s.code} {
		require.NoError(t, binary.Write(&b, binary.LittleEndian, part))
	}
	name := filepath.Join(t.TempDir(), "stuff")
	require.NoError(t, os.WriteFile(name, b.Bytes(), 0o600))
	f, err := os.Open(name)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	img, err := openImage(f)
	if err != nil {
		return spot{}, err
	}
	return img.function("mark")
}

func TestSpotInASmallFile(t *testing.T) {
	s := newStuff()
	at, err := s.search(t)
	require.NoError(t, err)
	require.Equal(t, spot{s.segment.Off, true}, at)
	s.code = [4]byte{0x48, 0x89, 0xe5, 0x55} // mov rbp, rsp first
	at, err = s.search(t)
	require.NoError(t, err)
	require.Equal(t, spot{s.segment.Off, false}, at, "a push that the file cuts")
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
			_, err := s.search(t)
			require.Error(t, err)
		})
	}
}

// TestSparseFileCostsNothing: a file that claims to be huge and full of
// symbols is refused by its size.
func TestSparseFileCostsNothing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "sparse")
	require.NoError(t, os.WriteFile(name, []byte(elf.ELFMAG), 0o600))
	require.NoError(t, os.Truncate(name, 1<<40))
	f, err := os.Open(name)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	begin := time.Now()
	_, err = openImage(f)
	require.Error(t, err)
	require.Less(t, time.Since(begin), time.Second)
}

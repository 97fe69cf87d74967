package foreign

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"lapwing/tools/fuzzing"
)

// FuzzMappings checks that the read of a list of mappings ends, within its budget,
// whatever the list contains, and that everything it finds was written there.
func FuzzMappings(f *testing.F) {
	for _, list := range []string{
		"55d0c8a3b000-55d0c8a40000 r-xp 00002000 fe:01 1234                       /usr/bin/true\n",
		"7f0000000000-7f0000001000 r-xp 00000000 00:2f 18446744073709551615 /tmp/a b (deleted)\n[heap]\n",
		"1-2 r-xp 0 ffffffff:ffffffff 1 //\n1-2 r-xp 0 1:1 1 /a\\012b\n",
		"1-2 --xp 0 1:1 -1 /x\n1-2 r-xp 0 :1 1 /x\n1-2 rwxs 0 0x1:1 1 /x\n",
		strings.Repeat("1-2 r-xp 0 1:1 1 /x\n", 100) + strings.Repeat("y", maxLine+1),
	} {
		f.Add([]byte(list))
	}
	f.Fuzz(func(t *testing.T, list []byte) {
		fuzzing.For(len(list)).Within(t, func() {
			found, err := mappings(bytes.NewReader(list), func(string) bool { return true })
			if err == nil && len(list) > 0 {
				assert.LessOrEqual(t, len(found), bytes.Count(list, []byte("\n"))+1, "more files than lines")
			}
			for _, m := range found {
				assert.True(t, m.Path[0] == '/' && bytes.Contains(list, []byte(m.Path)), "an invented path %q", m.Path)
			}
		})
	})
}

// FuzzMapping checks that what the kernel would write about a file is read back
// unchanged.
func FuzzMapping(f *testing.F) {
	f.Add("/usr/bin/true", uint32(254), uint32(1), uint64(1234))
	f.Add("/a  b", uint32(0), uint32(47), ^uint64(0))
	f.Fuzz(func(t *testing.T, path string, major, minor uint32, inode uint64) {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "\n\x00") || strings.HasSuffix(path, deleted) {
			return
		}
		line := fmt.Appendf(nil, "7f0000000000-7f0000001000 r-xp 00002000 %02x:%02x %d                 %s", major, minor, inode, path)
		fuzzing.For(len(line)).Within(t, func() {
			m, ok := parseMapping(line)
			assert.True(t, ok && m.Path == path && m.ID.Ino == inode, "%q was read as %+v, %v", line, m, ok)
		})
	})
}

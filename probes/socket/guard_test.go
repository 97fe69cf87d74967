package socket

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// guarded copies bytes to the end of a piece of memory. After it there is none, so a read
// beyond the end crashes. As in the log, messages start at a multiple of eight.
func guarded(t *testing.T, raw []byte) []byte {
	t.Helper()
	page := os.Getpagesize()
	room := (len(raw) + 8 + page - 1) / page * page
	mem, err := unix.Mmap(-1, 0, room+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	require.NoError(t, unix.Mprotect(mem[room:], unix.PROT_NONE))
	at := (room - len(raw)) &^ 7
	copy(mem[at:], raw)
	return mem[at : at+len(raw) : at+len(raw)]
}

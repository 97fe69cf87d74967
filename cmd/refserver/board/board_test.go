package board

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/clock"
)

// TestShared writes through one mapping and reads through another, as two
// processes do.
func TestShared(t *testing.T) {
	ours, err := New(2)
	require.NoError(t, err)
	fd, err := unix.Dup(int(ours.File().Fd()))
	require.NoError(t, err)
	theirs, err := Open(os.NewFile(uintptr(fd), "board"), 2)
	require.NoError(t, err)
	assert.Zero(t, ours.Ready())
	s := theirs.Slot(2)
	s.Start(77)
	s.Served()
	s.Busy(clock.Now() - 5e6)
	w := ours.Workers()
	assert.Equal(t, 1, ours.Ready(), "workers are %+v", w)
	assert.Equal(t, Starting, w[0].State, "workers are %+v", w)
	assert.Equal(t, 2, w[1].ID, "workers are %+v", w)
	assert.Equal(t, os.Getpid(), w[1].PID, "workers are %+v", w)
	assert.Equal(t, 77, w[1].TID, "workers are %+v", w)
	assert.Equal(t, uint64(1), w[1].Served, "workers are %+v", w)
	assert.GreaterOrEqual(t, w[1].AgeMS, 5.0, "workers are %+v", w)
	s.Held()
	held := ours.Workers()[1]
	assert.Equal(t, Held, held.State, "worker is %+v", held)
	assert.Zero(t, held.AgeMS, "worker is %+v", held)
	ours.Slot(2).Clear()
	assert.Zero(t, ours.Ready(), "a cleared worker is ready")
}

func TestWorkersAsJSON(t *testing.T) {
	b, err := New(1)
	require.NoError(t, err)
	b.Slot(1).Start(5)
	text, err := json.Marshal(b.Workers())
	assert.NoError(t, err)
	assert.Contains(t, string(text), `"tid":5,"state":"available","served":0`)
	assert.NotContains(t, string(text), "age_ms")
}

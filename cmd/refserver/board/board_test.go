package board

import (
	"encoding/json"
	"os"
	"strings"
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
	if ours.Ready() != 1 || w[0].State != Starting || w[1].ID != 2 || w[1].PID != os.Getpid() || w[1].TID != 77 || w[1].Served != 1 || w[1].AgeMS < 5 {
		t.Errorf("workers are %+v", w)
	}
	s.Held()
	if w := ours.Workers()[1]; w.State != Held || w.AgeMS != 0 {
		t.Errorf("worker is %+v", w)
	}
	ours.Slot(2).Clear()
	assert.Zero(t, ours.Ready(), "a cleared worker is ready")
}

func TestWorkersAsJSON(t *testing.T) {
	b, err := New(1)
	require.NoError(t, err)
	b.Slot(1).Start(5)
	text, err := json.Marshal(b.Workers())
	if err != nil || !strings.Contains(string(text), `"tid":5,"state":"available","served":0`) || strings.Contains(string(text), "age_ms") {
		t.Errorf("%s, %v", text, err)
	}
}

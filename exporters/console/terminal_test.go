package console

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/exporters/health"
)

// The sequences that a terminal program must undo before it ends.
const (
	altScreenOn  = "\x1b[?1049h"
	altScreenOff = "\x1b[?1049l"
	cursorOn     = "\x1b[?25h"
)

// terminal is a pseudo-terminal of 100x30, with everything that was written to
// it.
type terminal struct {
	buffer
	keys *os.File // the user's side
	tty  *os.File // the program's side
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	keys, tty, err := pty.Open()
	require.NoError(t, err)
	require.NoError(t, pty.Setsize(tty, &pty.Winsize{Cols: 100, Rows: 30}))
	term := &terminal{keys: keys, tty: tty}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b := make([]byte, 4096)
		for {
			n, err := keys.Read(b)
			if err != nil {
				return // the program's side was closed
			}
			_, _ = term.buffer.Write(b[:n])
		}
	}()
	t.Cleanup(func() {
		_ = tty.Close()
		<-read
		_ = keys.Close()
	})
	return term
}

func (term *terminal) press(t *testing.T, key string) {
	t.Helper()
	_, err := term.keys.WriteString(key)
	require.NoError(t, err)
}

// modes returns the settings of the terminal: echo, line editing, signals.
func (term *terminal) modes(t *testing.T) unix.Termios {
	t.Helper()
	modes, err := unix.IoctlGetTermios(int(term.tty.Fd()), unix.TCGETS)
	require.NoError(t, err)
	return *modes
}

// checkRestored checks that the terminal is as it was before.
func (term *terminal) checkRestored(t *testing.T, before unix.Termios) {
	t.Helper()
	assert.Equal(t, before, term.modes(t), "the terminal's modes are not what they were")
	eventually(t, "the normal screen is back, with its cursor", func() bool {
		_, last, ok := strings.Cut(term.String(), altScreenOff)
		return ok && !strings.Contains(last, altScreenOn) && strings.Contains(term.String(), cursorOn)
	})
}

func TestTerminal(t *testing.T) {
	term := newTerminal(t)
	before := term.modes(t)
	agg := NewAggregator(0)
	health := func() health.Health {
		return health.Health{health.Requests: health.Of(3), health.Lost: health.By(map[string]uint64{"ring_buffer_full": 1})}
	}
	cancel, result := started(agg, health, TopOptions{
		Out: term.tty, In: term.tty, Interval: 20 * time.Millisecond, Interactive: true, Color: true,
	})
	defer cancel()
	shows := func(what string) {
		t.Helper()
		eventually(t, "the terminal shows "+what, func() bool { return strings.Contains(term.String(), what) })
	}
	shows(altScreenOn)
	shows("No request yet")
	agg.Export(served("svc-first", "/", 200, 1, 2, 3, 4))
	agg.Export(served("svc-first", "/", 200, 1, 2, 3, 4))
	agg.Export(served("svc-second", "/", 500, 1, 2, 3, 4))
	shows("svc-second")
	shows("lost ring_buffer_full 1")
	assert.NotEqual(t, before, term.modes(t), "the terminal still edits lines: keys would need enter")
	term.press(t, "p")
	shows("PAUSED")
	term.press(t, "s")
	shows("sorted by errors")
	term.press(t, "\r")
	shows("since the start")
	term.press(t, "?")
	shows("Any key closes")
	term.press(t, "q")
	ended(t, result)
	term.checkRestored(t, before)
}

// TestTerminalContextEnds covers `lapwing top --for 10s`, and a signal.
func TestTerminalContextEnds(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	term := newTerminal(t)
	before := term.modes(t)
	agg := NewAggregator(0)
	agg.Export(served("svc", "/", 200, 1, 2, 3, 4))
	cancel, result := started(agg, nil, TopOptions{Out: term.tty, In: term.tty, Interactive: true, Color: true})
	defer cancel()
	eventually(t, "the terminal shows the service", func() bool { return strings.Contains(term.String(), "svc: 1 request") })
	assert.NotContains(t, term.String(), "\x1b[1m", "bold although NO_COLOR is set")
	assert.NotContains(t, term.String(), "\x1b[30;4", "colours although NO_COLOR is set")
	cancel()
	ended(t, result)
	term.checkRestored(t, before)
}

package patience

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// deaf is a file whose reader waits in the kernel until answer is called, like a
// file of a process whose memory is locked.
type deaf struct {
	t    *testing.T
	path string
	once sync.Once
}

func newDeaf(t *testing.T) *deaf {
	d := &deaf{t: t, path: filepath.Join(t.TempDir(), "cmdline")}
	require.NoError(t, syscall.Mkfifo(d.path, 0o600))
	t.Cleanup(d.answer)
	return d
}

// read never opens the file, because the opening waits for a writer.
func (d *deaf) read() (string, error) {
	raw, err := os.ReadFile(d.path)
	return string(raw), err
}

// answer releases all readers.
func (d *deaf) answer() {
	d.once.Do(func() {
		f, err := os.OpenFile(d.path, os.O_RDWR|syscall.O_NONBLOCK, 0)
		require.NoError(d.t, err)
		_, err = f.WriteString("late")
		require.NoError(d.t, err)
		// Readers that are opening the file have it open before the writer closes
		// it.
		time.Sleep(50 * time.Millisecond)
		require.NoError(d.t, f.Close())
	})
}

func ask(p *Pool, pid, owner uint32, f func() (string, error)) (string, error) {
	return Ask(p, Question{PID: pid, Owner: owner, What: "command line"}, f)
}

func quick() (string, error) { return "nginx", nil }

func TestAnswers(t *testing.T) {
	for _, p := range []*Pool{nil, New(Options{})} {
		got, err := ask(p, 1, 0, quick)
		require.NoError(t, err)
		assert.Equal(t, "nginx", got)
		_, err = ask(p, 1, 0, func() (string, error) { return "", os.ErrNotExist })
		require.ErrorIs(t, err, os.ErrNotExist)
		assert.False(t, NotAsked(err))
		assert.Zero(t, p.Counts())
	}
}

func TestSilentProcessIsLeftAlone(t *testing.T) {
	var log bytes.Buffer
	p := New(Options{Patience: 20 * time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))})
	d := newDeaf(t)
	late := make(chan struct{})
	question := Question{PID: 7, Owner: 1000, What: "command line", Late: func() { close(late) }}
	_, err := Ask(p, question, d.read)
	require.ErrorIs(t, err, ErrSilent)
	assert.Equal(t, Counts{Late: 1, Stuck: 1}, p.Counts())
	assert.Contains(t, log.String(), `msg="a process does not answer: it is left alone" pid=7 asked_for="command line" uid=1000`)

	began := time.Now()
	for range 100 {
		_, err = ask(p, 7, 1000, d.read)
		require.ErrorIs(t, err, ErrSilent)
	}
	assert.Less(t, time.Since(began), 10*time.Second, "nobody waits for it")
	assert.Equal(t, Counts{Late: 1, Refused: 100, Stuck: 1}, p.Counts())
	got, err := ask(p, 8, 1000, quick)
	require.NoError(t, err, "others are asked")
	assert.Equal(t, "nginx", got)
	got, err = Ask(p, Question{PID: 7, Owner: 1000, What: "usage"}, quick)
	require.NoError(t, err, "it is asked for other things")
	assert.Equal(t, "nginx", got)

	d.answer()
	<-late
	assert.Zero(t, p.Counts().Stuck)
	got, err = ask(p, 7, 1000, quick)
	require.NoError(t, err, "its trouble is over")
	assert.Equal(t, "nginx", got)
}

func TestPausesGrow(t *testing.T) {
	p := New(Options{Patience: 20 * time.Millisecond})
	for n := range 3 {
		d := newDeaf(t)
		late := make(chan struct{})
		if n > 0 { // the pause is over
			p.mu.Lock()
			s, _ := p.silent.Get(key{pid: 7})
			pause := time.Until(s.until)
			s.until = time.Time{}
			p.mu.Unlock()
			assert.LessOrEqual(t, pause, time.Duration(n-1)*firstPause)
		}
		_, err := Ask(p, Question{PID: 7, Late: func() { close(late) }}, d.read)
		require.ErrorIs(t, err, ErrSilent)
		d.answer()
		<-late
	}
	_, err := Ask(p, Question{PID: 7}, quick)
	require.ErrorIs(t, err, ErrSilent, "it is asked later")
	assert.EqualValues(t, 1, p.Counts().Refused)
	s, _ := p.silent.Get(key{pid: 7})
	assert.Greater(t, time.Until(s.until), firstPause/2)
}

// The processes of one user do not prevent those of others from being asked. All of
// them together do not prevent questions that need no process.
func TestHeldUpIsBounded(t *testing.T) {
	p := New(Options{Patience: 5 * time.Millisecond, AtWork: 2, Stuck: 6, PerOwner: 4})
	d := newDeaf(t)
	for pid := range uint32(50) {
		_, err := ask(p, pid, 1000, d.read)
		require.True(t, NotAsked(err))
	}
	assert.Equal(t, Counts{Late: 4, Busy: 46, Stuck: 4}, p.Counts())
	_, err := ask(p, 100, 1001, quick)
	require.NoError(t, err, "another user's process is asked")
	for pid := range uint32(50) {
		_, err := ask(p, 200+pid, 1001+pid, d.read)
		require.True(t, NotAsked(err))
	}
	assert.Equal(t, 6, p.Counts().Stuck)
	_, err = ask(p, 300, 1099, quick)
	require.ErrorIs(t, err, ErrBusy)
	_, err = ask(p, 300, NoOwner, quick)
	require.NoError(t, err, "what no user holds up")
	d.answer()
	require.Eventually(t, func() bool { return p.Counts().Stuck == 0 }, 20*time.Second, time.Millisecond)
	_, err = ask(p, 300, 1099, quick)
	require.NoError(t, err)
}

// A goroutine that gets no CPU does not make a process silent.
func TestStarvedGoroutineIsWaitedFor(t *testing.T) {
	p := New(Options{Patience: 10 * time.Millisecond})
	got, err := ask(p, 1, 0, func() (string, error) {
		for began := time.Now(); time.Since(began) < 60*time.Millisecond; {
		}
		return "slow", nil
	})
	require.NoError(t, err)
	assert.Equal(t, "slow", got)
	assert.Zero(t, p.Counts().Late)
}

func TestConcurrentQuestions(t *testing.T) {
	p := New(Options{Patience: 50 * time.Millisecond})
	d := newDeaf(t)
	var group sync.WaitGroup
	var silent, answered atomic.Int64
	for worker := range uint32(8) {
		group.Go(func() {
			for n := range uint32(50) {
				f := quick
				if n == 10 {
					f = d.read
				}
				switch _, err := ask(p, worker*100+n, worker, f); {
				case err == nil:
					answered.Add(1)
				case errors.Is(err, ErrSilent):
					silent.Add(1)
				}
			}
		})
	}
	group.Wait()
	assert.EqualValues(t, 8, silent.Load())
	assert.EqualValues(t, 8*49, answered.Load())
	d.answer()
	require.Eventually(t, func() bool { return p.Counts().Stuck == 0 }, 20*time.Second, time.Millisecond)
}

func BenchmarkAsk(b *testing.B) {
	p := New(Options{})
	b.ReportAllocs()
	for b.Loop() {
		_, _ = ask(p, 1, 0, quick)
	}
}

package load

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBurstsLookAtTheClockOnly(t *testing.T) {
	b := Bursts{Size: 3, Every: 10 * time.Millisecond, Clients: 7}
	for begun, want := range []time.Duration{0, 0, 0, 10, 10, 10, 20} {
		wait, stop := b.Pace(0, uint64(begun))
		assert.Equal(t, want*time.Millisecond, wait, "client %d", begun)
		assert.False(t, stop)
	}
	wait, _ := b.Pace(25*time.Millisecond, 6)
	assert.Zero(t, wait, "a client that is late comes at once")
	_, stop := b.Pace(0, 7)
	assert.True(t, stop)
	assert.InDelta(t, 300, b.Rate(0), 1e-9)
}

// origin answers every request after a delay and remembers the trace ids.
type origin struct {
	*httptest.Server
	mu    sync.Mutex
	ids   []string
	bytes int64
}

func newOrigin(t *testing.T, takes time.Duration, status int) *origin {
	o := new(origin)
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		o.mu.Lock()
		o.ids = append(o.ids, strings.Split(r.Header.Get("traceparent"), "-")[1])
		o.bytes += n
		o.mu.Unlock()
		time.Sleep(takes)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.Repeat("x", 32<<10))
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *origin) run(s Script, b Bursts) Result {
	return Run(context.Background(), o.Listener.Addr().String(), s, b)
}

func TestScripts(t *testing.T) {
	for name, c := range map[string]struct {
		script   Script
		requests int
	}{
		"once":       {Once("/"), 6},
		"keepalive":  {KeepAlive("/", 3, time.Millisecond), 18},
		"pipelined":  {Pipelined("/", 4), 24},
		"upload":     {SlowUpload("/", 1000, 4, time.Millisecond), 6},
		"slowreader": {SlowReader("/", 4<<10, 4<<10, 100*time.Microsecond), 6},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, 0, 200)
			r := o.run(c.script, Bursts{Size: 2, Every: 5 * time.Millisecond, Clients: 6})
			require.Empty(t, r.Errs)
			require.Len(t, r.Sent, c.requests)
			ids := make([]string, 0, len(r.Sent))
			for _, s := range r.Sent {
				ids = append(ids, s.ID)
				assert.Equal(t, 200, s.Status)
				assert.Less(t, s.Before, s.Left, "the kernel's stamp is behind the client's")
				assert.Less(t, s.Left, s.Done)
			}
			o.mu.Lock()
			defer o.mu.Unlock()
			assert.ElementsMatch(t, o.ids, ids)
			if name == "upload" {
				assert.EqualValues(t, 6000, o.bytes)
			}
		})
	}
}

// TestSlowServerDoesNotSlowArrivals checks that the loop is open.
func TestSlowServerDoesNotSlowArrivals(t *testing.T) {
	r := newOrigin(t, 500*time.Millisecond, 200).run(Once("/"), Bursts{Size: 2, Every: 20 * time.Millisecond, Clients: 10})
	require.Empty(t, r.Errs)
	require.Len(t, r.Sent, 10)
	firstDone := r.Sent[0].Done
	for _, s := range r.Sent {
		firstDone = min(firstDone, s.Done)
	}
	for _, s := range r.Sent {
		assert.Less(t, s.Before, firstDone, "sent before the first response")
	}
	assert.Equal(t, 10, r.Peak())
}

func TestPeakCountsWhatOverlaps(t *testing.T) {
	r := Result{Sent: []Sent{{Before: 1, Done: 5}, {Before: 2, Done: 3}, {Before: 3, Done: 9}, {Before: 4}}}
	assert.Equal(t, 2, r.Peak(), "one ends as the third begins; the last has no end")
}

func TestErrorsAreTold(t *testing.T) {
	r := newOrigin(t, 0, 503).run(Once("/"), Bursts{Size: 1, Every: time.Millisecond, Clients: 2})
	require.Len(t, r.Errs, 2)
	assert.ErrorContains(t, r.Errs[0], "503")
	require.Len(t, r.Sent, 2, "what failed was sent all the same")

	r = Run(context.Background(), "127.0.0.1:1", Once("/"), Bursts{Size: 1, Every: time.Millisecond, Clients: 1})
	require.Len(t, r.Errs, 1)
	assert.ErrorContains(t, r.Errs[0], "refused")
	assert.Empty(t, r.Sent)

	r = Run(context.Background(), "unix:/x", Once("/"), Bursts{Size: 1, Every: time.Millisecond, Clients: 1})
	require.Len(t, r.Errs, 1)
	assert.ErrorContains(t, r.Errs[0], "not an IPv4 address")
}

func TestCancelledLoadEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	o := newOrigin(t, 0, 200)
	r := Run(ctx, o.Listener.Addr().String(), Once("/"), Bursts{Size: 1, Every: 5 * time.Millisecond, Clients: 100_000})
	assert.Less(t, len(r.Sent), 1000)
}

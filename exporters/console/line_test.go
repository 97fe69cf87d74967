package console

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
)

func textOf(width int, color bool, requests ...*request.Request) []byte {
	l := &lines{layout: newLayout(width), color: color, times: new(request.Clock)}
	b := l.appendHeader(nil)
	for _, r := range requests {
		b = l.appendLine(b, r)
	}
	return b
}

func TestLines(t *testing.T) {
	for _, width := range []int{60, 80, 120, 200} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			golden(t, fmt.Sprintf("trace_%d.txt", width), textOf(width, false, sampleRequests()...))
		})
	}
}

func TestColorsChangeNoCell(t *testing.T) {
	for _, width := range []int{80, 120, 200} {
		colored := textOf(width, true, sampleRequests()...)
		assert.Contains(t, string(colored), styleRed, "width %d: no red in lines with errors", width)
		got, want := ansi.Strip(string(colored)), string(textOf(width, false, sampleRequests()...))
		assert.Equal(t, want, got, "width %d: coloured text reads\n%s, plain text\n%s", width, got, want)
	}
}

// TestLinesFit checks every width with random requests. A line is never wider
// than the terminal and contains nothing that a terminal would interpret.
func TestLinesFit(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for width := minWidth; width <= 260; width++ {
		requests := append(sampleRequests(), randomRequest(random), randomRequest(random))
		for _, line := range strings.Split(string(textOf(width, false, requests...)), "\n") {
			assert.LessOrEqual(t, ansi.StringWidth(line), width, "too many cells: %q", line)
			i := strings.IndexFunc(line, func(r rune) bool { return r != utf8.RuneError && !unicode.IsPrint(r) })
			assert.Negative(t, i, "width %d: unprintable at %d: %q", width, i, line)
		}
	}
}

func randomRequest(random *rand.Rand) *request.Request {
	text := func() []byte {
		b := make([]byte, random.IntN(300))
		for i := range b {
			b[i] = byte(random.UintN(256))
		}
		return append(b, strings.Repeat(string(rune(random.IntN(0x20000))), random.IntN(60))...)
	}
	span := func() time.Duration { return time.Duration(1) << random.UintN(50) }
	r := served(string(text()), string(text()), random.IntN(1000), span(), span(), span(), span())
	r.Method, r.Error, r.PID = string(text()), string(text()), random.Uint32()
	r.Flags = request.Flags(random.Uint32())
	r.Blocked, r.Produce, r.ClientWait = span(), span(), span()
	if random.IntN(3) == 0 {
		r.WriteLast = 0
	}
	return r
}

// TestColumnsStayInPlace checks that the notes of an unusual request do not
// shift the columns of its line.
func TestColumnsStayInPlace(t *testing.T) {
	plain := served("nginx", "/", 200, time.Millisecond, 2*time.Millisecond, 3*time.Millisecond, 4*time.Millisecond)
	odd := plain.Clone()
	odd.Error, odd.Flags = "connection_reset", request.Pipelined
	for _, width := range []int{80, 100, 120, 200} {
		want := column4(t, textOf(width, false, plain))
		assert.Equal(t, want, column4(t, textOf(width, false, odd)), "width %d: the error shifts the end of the last phase", width)
	}
}

// column4 returns the cell at which the duration of the fourth phase ends.
func column4(t *testing.T, text []byte) int {
	t.Helper()
	line := strings.Split(string(text), "\n")[2]
	before, _, ok := strings.Cut(line, "4.0ms")
	if !ok {
		before, _, ok = strings.Cut(line, "4.00ms")
	}
	require.True(t, ok, "no 4 ms in %q", line)
	return ansi.StringWidth(before)
}

func TestUnseenIsADash(t *testing.T) {
	line := strings.Fields(strings.Split(string(textOf(200, false, &request.Request{Service: "x"})), "\n")[2])
	want := []string{"-", "x", "-", "-", "-", "-", "-", "-", "-", "-"}
	assert.Equal(t, fmt.Sprint(want), fmt.Sprint(line), "a request of which nothing is known reads %q, want %q", line, want)
}

func TestAppendDuration(t *testing.T) {
	for _, c := range []struct {
		d          time.Duration
		two, three string
	}{
		{0, "0ns", "0ns"},
		{830, "830ns", "830ns"},
		{999, "999ns", "999ns"},
		{1234, "1.2µs", "1.23µs"},
		{9996, "10µs", "10.0µs"},
		{99960, "100µs", "100µs"},
		{999600, "1.0ms", "1.00ms"},
		{50200 * time.Microsecond, "50ms", "50.2ms"},
		{101 * time.Millisecond, "101ms", "101ms"},
		{999999 * time.Microsecond, "1.0s", "1.00s"},
		{65 * time.Second, "65s", "65.0s"},
		{999 * time.Second, "999s", "999s"},
		{1000 * time.Second, "17m", "16.7m"},
		{1000 * time.Minute, "17h", "16.7h"},
		{1 << 62, "1281024h", "1281024h"},
	} {
		assert.Equal(t, c.two, string(appendDuration(nil, c.d, 2)), "%d ns in two digits", c.d)
		assert.Equal(t, c.three, string(appendDuration(nil, c.d, 3)), "%d ns in three digits", c.d)
	}
	for d := time.Duration(1); d < 999*time.Hour; d += d/7 + 1 {
		got := string(appendDuration(nil, d, 2))
		require.LessOrEqual(t, utf8.RuneCountInString(got), 5, "%d ns: %s takes too many cells", d, got)
		got = duration(d)
		require.LessOrEqual(t, utf8.RuneCountInString(got), 6, "%d ns: %s takes too many cells", d, got)
	}
}

func TestDivideAddsUp(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		var spent [request.NumPhases]uint64
		for p := range spent {
			if random.IntN(4) > 0 {
				spent[p] = random.Uint64() >> random.UintN(64)
			}
		}
		cells := random.IntN(60)
		got := divide(spent, cells)
		sum := 0
		for p, n := range got {
			sum += n
			require.GreaterOrEqual(t, n, 0, "%v in %d cells: %v", spent, cells, got)
			if spent[p] == 0 {
				require.Zero(t, n, "%v in %d cells: %v", spent, cells, got)
			}
		}
		want := 0
		if sumOf(spent) > 0 {
			want = cells
		}
		require.Equal(t, want, sum, "%v in %d cells: %v", spent, cells, got)
	}
}

func TestBarReadsWithoutColor(t *testing.T) {
	spent := [request.NumPhases]uint64{100, 1, 50, 0}
	assert.Equal(t, "qqqqqqqqaaaa", string(appendBar(nil, spent, 12, false)))
	assert.Equal(t, "qqqqqqqqaaaa", ansi.Strip(string(appendBar(nil, spent, 12, true))))
	assert.Equal(t, "     ", string(appendBar(nil, [request.NumPhases]uint64{}, 5, true)))
}

func BenchmarkLine(b *testing.B) {
	l := &lines{layout: newLayout(120), times: new(request.Clock)}
	r := sampleRequests()[0]
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = l.appendLine(out[:0], r)
	}
}

// TestNarrowLinesKeepTheParts checks that a line of 80 cells still shows
// backlog and dispatch of the queue, and client_wait of parse.
func TestNarrowLinesKeepTheParts(t *testing.T) {
	const ms = request.Stamp(time.Millisecond)
	make := func(accepted, readFirst, readLast request.Stamp, wait time.Duration) *request.Request {
		r := served("shop", "/a/long/path/that/takes/room.html", 200)
		at := request.Stamp(time.Hour)
		r.Seq, r.Arrived, r.Accepted, r.ReadFirst, r.ReadLast = 1, at, at+accepted, at+readFirst, at+readLast
		r.WriteFirst, r.WriteLast, r.ClientWait = at+readLast+10*ms, at+readLast+11*ms, wait
		return r
	}
	for want, r := range map[string]*request.Request{
		"backlog 50ms":      make(50*ms, 50*ms, 50*ms, 0),
		"dispatch 250ms":    make(0, 250*ms, 250*ms, 0),
		"dispatch 40ms":     make(10*ms, 50*ms, 50*ms, 0),
		"client_wait 240ms": make(0, 0, 250*ms, 240*time.Millisecond),
	} {
		for _, width := range []int{80, 100} {
			l := &lines{layout: newLayout(width), times: request.NewClock()}
			line := strings.TrimSuffix(string(l.appendLine(nil, r)), "\n")
			require.Contains(t, line, want)
			require.LessOrEqual(t, len([]rune(line)), width)
			r.Flags |= request.Pipelined
			require.Contains(t, string(l.appendLine(nil, r)), want)
			r.Flags = 0
		}
	}
}

func TestNamesKeepTheirPools(t *testing.T) {
	for _, tt := range []struct {
		name  string
		width int
		want  string
	}{
		{"gunicorn:shop", 16, "gunicorn:shop   "}, {"gunicorn:shop", 8, "gu…:shop"}, {"gunicorn:shop", 12, "gunico…:shop"},
		{"php8.2-fpm:backoffice", 16, "php8…:backoffice"}, {"php8.2-fpm:backoffice", 12, "…backoffice "}, {"php8.2-fpm:backoffice", 8, "…backof…"},
		{"réseau:été", 8, "rés…:été"}, {"a-service-without", 8, "a-servi…"},
	} {
		require.Equal(t, tt.want, string(appendName(nil, tt.name, tt.width)))
	}
}

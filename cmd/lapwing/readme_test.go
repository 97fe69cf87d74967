package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
	"lapwing/exporters/console"
	"lapwing/exporters/metrics"
	"lapwing/exporters/prometheus"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	return string(text)
}

// figure matches a number with the blanks before it and the unit after it. The
// length of all three is the width of a column.
var (
	figure = regexp.MustCompile(` *\d[\d.:e+-]*(ns|µs|ms|s)?`)
	bar    = regexp.MustCompile(`[qpaw]{20}`)
)

// shape returns a line without its figures, but with their widths.
func shape(line string) string {
	line = bar.ReplaceAllString(line, "<bar>")
	return figure.ReplaceAllStringFunc(line, func(f string) string { return fmt.Sprintf("<%d>", utf8.RuneCountInString(f)) })
}

// TestReadmeShowsTodaysTrace compares the lines of the demo in the README with
// those that the program prints for such requests.
func TestReadmeShowsTodaysTrace(t *testing.T) {
	const ms = request.Stamp(time.Millisecond)
	var printed bytes.Buffer
	out := console.NewTrace(&printed, console.TraceOptions{Clock: request.NewClock()})
	for _, backlog := range []request.Stamp{0, 50 * ms, 100 * ms} {
		r := served("refserver", 0)
		at := request.Now() - 300*ms
		r.PID, r.Path = 513, []byte("/sleep")
		r.Arrived, r.Accepted = at, at+backlog
		r.ReadFirst = at + backlog + 19_500
		r.ReadLast, r.WriteFirst = r.ReadFirst, r.ReadFirst+50*ms
		r.WriteLast = r.WriteFirst + 46_800
		out.Trace(r)
	}
	require.NoError(t, out.Shutdown(t.Context()))
	var known []string
	for line := range strings.Lines(printed.String()) {
		known = append(known, shape(line))
	}
	_, block, found := strings.Cut(readme(t), "\n\nq queue")
	require.True(t, found)
	block, _, _ = strings.Cut("q queue"+block, "…\n")
	lines := strings.SplitAfter(strings.TrimSuffix(block, "\n")+"\n", "\n")
	lines = lines[:len(lines)-1]
	require.Greater(t, len(lines), 4)
	require.Equal(t, strings.SplitAfter(printed.String(), "\n")[:2], lines[:2], "the head, to the letter")
	for _, line := range lines[2:] {
		require.Contains(t, known, shape(line), line)
	}
}

// TestTelemetryPageShowsTodaysMetrics compares the metrics in
// docs/telemetry.md, which are the output of grep, with those of such a
// request.
func TestTelemetryPageShowsTodaysMetrics(t *testing.T) {
	a := metrics.New(metrics.DefaultConfig())
	r := served("nginx", time.Millisecond)
	a.Export(r)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	server, err := prometheus.Listen(prometheus.Config{Listen: address}, a.Read, request.NewClock(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer server.Shutdown(t.Context())
	res, err := http.Get("http://" + address + "/metrics")
	require.NoError(t, err)
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	require.NoError(t, err)

	raw, err := os.ReadFile("../../docs/telemetry.md")
	require.NoError(t, err)
	text := string(raw)
	command := regexp.MustCompile(`(?m)^\$ curl -s http://127\.0\.0\.1:9464/metrics \| grep -E '(.*)'$`).FindStringSubmatch(text)
	require.NotNil(t, command)
	grep := regexp.MustCompile(command[1])
	value := regexp.MustCompile(` \S+$`)
	collect := func(text string) (lines []string) {
		for line := range strings.SplitSeq(text, "\n") {
			if grep.MatchString(line) && !strings.HasPrefix(line, "$") {
				lines = append(lines, value.ReplaceAllString(line, ""))
			}
		}
		return lines
	}
	shown := collect(text)
	require.Greater(t, len(shown), 5)
	require.ElementsMatch(t, collect(string(page)), shown)
}

// TestReadmeCommandsExist parses every command line that the README and the
// pages show.
func TestReadmeCommandsExist(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	shown := regexp.MustCompile(`(?m)^(?:\$ )?(?:sudo )?(?:bin/)?lapwing ([^|#>\n]*)`)
	commands := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range shown.FindAllStringSubmatch(string(text), -1) {
			args := strings.Fields(m[1])
			// A line of output can start with the program's name and version.
			if len(args) == 0 || strings.Contains(m[1], "…") || strings.Contains(m[1], "(go1.") {
				continue
			}
			commands++
			cmd, rest, err := newApp().rootCommand().Find(args)
			require.NoError(t, err, "%s: %s", page, m[0])
			require.NotEqual(t, "lapwing", cmd.Name(), "%s: %s", page, m[0])
			require.NoError(t, cmd.ParseFlags(rest), "%s: %s", page, m[0])
		}
	}
	require.Greater(t, commands, 8)
}

// TestIndexListsEveryPage finds pages that docs/README.md does not list, and
// links of the README and of the index to pages that do not exist.
func TestIndexListsEveryPage(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	require.Greater(t, len(pages), 10)
	index, err := os.ReadFile("../../docs/README.md")
	require.NoError(t, err)
	var missing []string
	for _, page := range pages {
		name := filepath.Base(page)
		if name != "README.md" && !strings.Contains(string(index), "["+name+"]("+name+")") {
			missing = append(missing, name)
		}
	}
	require.Empty(t, missing)
	require.Contains(t, readme(t), "[docs/README.md](docs/README.md)")
	for _, m := range regexp.MustCompile(`\]\((docs/[\w.-]+)\)`).FindAllStringSubmatch(readme(t), -1) {
		require.True(t, slices.Contains(pages, filepath.Join("../..", m[1])), m[1])
	}
	for _, m := range regexp.MustCompile(`\]\(([\w.-]+\.md)\)`).FindAllStringSubmatch(string(index), -1) {
		require.True(t, slices.Contains(pages, filepath.Join("../../docs", m[1])), m[1])
	}
}

// TestSecurityPageNamesTests checks that the tests named on that page exist.
func TestSecurityPageNamesTests(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	require.NoError(t, err)
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z]+)`").FindAllSubmatch(page, -1)
	require.Greater(t, len(named), 20)
	var sources bytes.Buffer
	require.NoError(t, filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(path)
		sources.Write(raw)
		return err
	}))
	for _, name := range named {
		require.Contains(t, sources.String(), "\nfunc "+string(name[1])+"(")
	}
}

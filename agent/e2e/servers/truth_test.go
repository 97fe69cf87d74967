package servers

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
	"lapwing/collectors/request"
)

// worked is one request as recorded by the application.
type worked struct {
	path       string
	status     int
	begin, end request.Stamp // the application was called, and was done
	pid, tid   int
}

// applicationLog is the file in which the application of the tests records what
// it did. The applications define the format of its lines.
const applicationLog = "application.log"

// readWorked reads the application's log. It only returns the lines of one run.
func readWorked(t *testing.T, at place, run string) (all []worked) {
	t.Helper()
	for _, line := range linesOf(t, at.file(applicationLog), run) {
		var w worked
		_, err := fmt.Sscan(line, &w.path, &w.status, &w.begin, &w.end, &w.pid, &w.tid)
		require.NoError(t, err, "line %q of the application", line)
		all = append(all, w)
	}
	return all
}

// readLogged reads the server's own log, once it has all requests of the run or
// will not get more.
func readLogged(t *testing.T, at place, l *serverLog, run string) (all []logged) {
	t.Helper()
	harness.Within(5*time.Second, func() bool { return len(linesOf(t, at.file(l.file), run)) >= requests })
	for _, line := range linesOf(t, at.file(l.file), run) {
		own, err := l.parse(line)
		require.NoError(t, err)
		all = append(all, own)
	}
	return all
}

// linesOf returns the lines of a log that belong to a run.
func linesOf(t *testing.T, file, run string) (lines []string) {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err, "the server's log")
	for _, line := range strings.Split(string(b), "\n") {
		if strings.Contains(line, "/"+run+"-") {
			lines = append(lines, line)
		}
	}
	return lines
}

// moments are the boundaries of a record's phases in wall time.
type moments struct{ arrived, readFirst, readLast, writeFirst, writeLast time.Time }

func momentsOf(r harness.Record) (m moments, err error) {
	if r.Duration == nil {
		return m, fmt.Errorf("%s has no duration: %s", r.Path, r.Line)
	}
	m.arrived, err = r.Arrived()
	m.readFirst = m.arrived.Add(time.Duration(*r.Queue))
	m.readLast = m.readFirst.Add(time.Duration(*r.Parse))
	m.writeFirst = m.readLast.Add(time.Duration(*r.App))
	m.writeLast = m.writeFirst.Add(time.Duration(*r.WriteBack))
	return m, err
}

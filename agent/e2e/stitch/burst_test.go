package stitch

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/agent/e2e/harness"
)

// idHeader carries the number of a request. It comes after padding, so that the
// agent does not capture it: only the client and the back end know it.
const idHeader = "X-Number"

var padding = strings.Repeat("p", 300)

// asked is what the client sent: the order of the requests on each connection.
type asked struct {
	mu   sync.Mutex
	all  []string
	sent map[string][]string // local address → numbers, in order
	from time.Time
}

// burstNumber distinguishes the requests of all bursts.
var burstNumber atomic.Uint32

// burst sends n bursts of two to five requests, each on a connection of its
// own.
func burst(t *testing.T, front string, n int, alike bool) *asked {
	t.Helper()
	a := &asked{sent: make(map[string][]string), from: time.Now()}
	number := burstNumber.Add(1)
	for i := range n {
		var all sync.WaitGroup
		for k := range 2 + rand.IntN(4) {
			id := fmt.Sprintf("%d-%d-%d", number, i, k)
			a.all = append(a.all, id)
			all.Go(func() {
				assert.NoError(t, a.one(front, id, alike), "request %s", id)
			})
		}
		all.Wait()
		time.Sleep(20 * time.Millisecond)
	}
	return a
}

func (a *asked) one(front, id string, alike bool) error {
	path := "/n/" + id
	if alike {
		path = "/same"
	}
	conn, err := net.DialTimeout("tcp", front, harness.Slow(wait))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(harness.Slow(wait)))
	a.mu.Lock()
	local := conn.LocalAddr().String()
	a.sent[local] = append(a.sent[local], id)
	a.mu.Unlock()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: site\r\nUser-Agent: burst\r\nX-Pad: %s\r\n%s: %s\r\n\r\n", path, padding, idHeader, id); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// logged is a back end that records which request came on which connection.
type logged struct {
	address string
	log     string
}

const (
	loggedListen = "LAPWING_STITCH_LOGGED_LISTEN"
	loggedFile   = "LAPWING_STITCH_LOGGED_FILE"
)

func startLogged(t *testing.T) logged {
	t.Helper()
	l := logged{address: harness.FreeAddress(t), log: filepath.Join(harness.OpenDir(t), "log")}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), loggedListen+"="+l.address, loggedFile+"="+l.log)
	await(t, harness.Start(t, cmd), l.address)
	return l
}

// loggedBack is the process that startLogged starts.
func loggedBack() {
	address := os.Getenv(loggedListen)
	if address == "" {
		return
	}
	out, err := os.Create(os.Getenv(loggedFile))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var mu sync.Mutex
	fmt.Fprintln(os.Stderr, http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		fmt.Fprintf(out, "%s %s\n", r.RemoteAddr, r.Header.Get(idHeader))
		mu.Unlock()
		time.Sleep(time.Duration(1+rand.IntN(6)) * time.Millisecond)
		w.Header().Set("Content-Length", "3")
		fmt.Fprint(w, "ok\n")
	})))
	os.Exit(1)
}

// read returns the numbers of the requests on each connection, in order.
func (l logged) read(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(l.log)
	require.NoError(t, err)
	came := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		remote, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		came[remote] = append(came[remote], id)
	}
	return came
}

// name returns the record of each request number at an address, by its place on
// its connection.
func name(records []harness.Record, address string, numbers map[string][]string) map[string]harness.Record {
	own := slices.DeleteFunc(slices.Clone(records), func(r harness.Record) bool { return r.Local != address })
	slices.SortStableFunc(own, func(a, b harness.Record) int { return strings.Compare(a.Start, b.Start) })
	named, seen := make(map[string]harness.Record), make(map[string]int)
	for _, r := range own {
		if at := seen[r.Peer]; at < len(numbers[r.Peer]) {
			named[numbers[r.Peer][at]] = r
		}
		seen[r.Peer]++
	}
	return named
}

// judge compares the parent of each request at the back end with what the
// client and the back end know.
func (a *asked) judge(t *testing.T, trace *harness.Trace, front string, back logged) (o outcome) {
	t.Helper()
	var fronts, backs map[string]harness.Record
	harness.Within(wait, func() bool {
		records := trace.Records(func(r harness.Record) bool {
			at, err := r.Arrived()
			return r.Local == back.address || r.Local == front && err == nil && at.After(a.from.Add(-time.Millisecond))
		})
		fronts, backs = name(records, front, a.sent), name(records, back.address, back.read(t))
		for _, id := range a.all {
			if fronts[id].SpanID == "" || backs[id].SpanID == "" {
				time.Sleep(100 * time.Millisecond)
				return false
			}
		}
		return true
	})
	owner := make(map[string]string)
	for id, r := range fronts {
		for _, c := range r.Calls {
			owner[c.SpanID] = id
		}
	}
	for _, id := range a.all {
		f, b := fronts[id], backs[id]
		switch {
		case f.SpanID == "" || b.SpanID == "":
			o.unseen++
		case b.ParentSpanID == "":
			o.unjoined++
		case owner[b.ParentSpanID] == id && b.TraceID == f.TraceID:
			o.right++
		default:
			o.wrong++
		}
	}
	return o
}

package peer

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	patience  = 10 * time.Second
	tolerance = 5 * time.Millisecond
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

const (
	accepted Event = iota
	answered
)

// between checks that a wait has the scripted length. It can be longer, because
// the next thread may have to wait for a CPU, which no script sees.
func between(t *testing.T, what string, got, least, noise time.Duration) {
	t.Helper()
	late := got - least
	assert.GreaterOrEqual(t, late, -tolerance, "%s took %s, scripted %s (noise %s)", what, got, least, noise)
	assert.LessOrEqual(t, late, 5*tolerance+noise, "%s took %s, scripted %s (noise %s)", what, got, least, noise)
}

func since(a, b int64) time.Duration { return time.Duration(b - a) }

func mustFirst(t *testing.T, s Stamps, label string) Stamp {
	t.Helper()
	st, ok := s.First(label)
	require.True(t, ok, "no stamp %q in\n%s", label, s)
	return st
}

func TestDelaysComeOutAsScripted(t *testing.T) {
	for _, family := range append(Families, Mapped) {
		t.Run(string(family), func(t *testing.T) {
			run := NewRun(t, Listen(t, family, 0), patience)
			server := run.Serve(Script(
				Accept().As("accept"), ReadNone(), Signal(accepted), Peek(9), ReadHead().As("read"),
				Sleep(30*time.Millisecond), Write("HTTP/1.0 200 OK\r\n\r\n").As("write"), Close()))
			client := run.Call(Script(
				Connect().As("connect"), Await(accepted), Sleep(20*time.Millisecond),
				Trickle("GET / HTTP/1.0\r\n\r\n", 9, 15*time.Millisecond).As("send"), ReadEOF().As("receive")))
			sent, noise := client.Wait()
			served, more := server.Wait()
			noise += more

			accept := mustFirst(t, served, "accept")
			read := mustFirst(t, served, "read")
			last, _ := served.Last("read")
			write := mustFirst(t, served, "write")
			between(t, "silence", since(accept.After, read.After), 20*time.Millisecond, noise)
			between(t, "piece", since(read.After, last.After), 15*time.Millisecond, noise)
			between(t, "application", since(last.After, write.Before), 30*time.Millisecond, noise)
			assert.Equal(t, 18, served.Bytes("read"), "bytes that the server read")
			assert.Equal(t, 19, sent.Bytes("receive"), "bytes that the client read")
			assert.GreaterOrEqual(t, read.After, mustFirst(t, sent, "send").Before,
				"the server read before the client sent: the clocks differ")
		})
	}
}

func TestEverySystemCallCarriesTheBytes(t *testing.T) {
	for _, via := range []string{ViaPlain, ViaSocket, ViaVector, ViaMessage, ViaBatch} {
		t.Run("via "+via, func(t *testing.T) {
			run := NewRun(t, Listen(t, TCP4, 0), patience)
			server := run.Serve(Script(Accept(), ReadFull(1000).By(via).As("read"),
				Write("head").Padded(2000).By(via).As("write"), Close()))
			client := run.Call(Script(Connect(), Write("").Padded(1000).By(via).As("send"),
				ReadFull(2000).By(via).As("receive"), Close()))
			sent, _ := client.Wait()
			served, _ := server.Wait()
			for label, got := range map[string][2]int{
				"read":    {served.Bytes("read"), 1000},
				"write":   {served.Bytes("write"), 2000},
				"send":    {sent.Bytes("send"), 1000},
				"receive": {sent.Bytes("receive"), 2000},
			} {
				assert.Equal(t, got[1], got[0], "bytes that %s carried", label)
			}
		})
	}
}

func TestSendfileAndSplice(t *testing.T) {
	for _, step := range []Step{Sendfile("head"), Splice("head")} {
		t.Run(string(step.Op), func(t *testing.T) {
			run := NewRun(t, Listen(t, TCP4, 0), patience)
			server := run.Serve(Script(Accept(), step.Padded(50_000).As("write"), Close()))
			client := run.Call(Script(Connect(), ReadEOF().As("receive")))
			sent, _ := client.Wait()
			served, _ := server.Wait()
			assert.Equal(t, 50_000, served.Bytes("write"), "bytes written")
			assert.Equal(t, 50_000, sent.Bytes("receive"), "bytes received")
		})
	}
}

func TestSlowReaderBlocksTheWriter(t *testing.T) {
	for _, write := range []Step{Write(""), WritePoll(""), WriteRoom("", 16<<10)} {
		t.Run(string(write.Op), func(t *testing.T) {
			run := NewRun(t, Listen(t, TCP4, 0), patience)
			server := run.Serve(Script(Accept(), SendBuffer(32<<10),
				write.Padded(4<<20).As("write"), Close()))
			client := run.Call(Script(Connect().ReceiveBuffer(32<<10),
				Sleep(60*time.Millisecond).As("pause"), ReadEOF().As("receive")))
			sent, _ := client.Wait()
			served, _ := server.Wait()
			last, _ := served.Last("write")
			assert.GreaterOrEqual(t, last.After, mustFirst(t, sent, "pause").After, "the writer was done before the reader began")
			assert.Equal(t, 4<<20, served.Bytes("write"), "bytes written")
		})
	}
}

func TestSegmentsArriveWhole(t *testing.T) {
	big := strings.Repeat("x", 2<<20)
	segments := Preceded("\r\n0\r\n", Segments("one", big, "", "two", "\r\n"))
	run := NewRun(t, Listen(t, TCP4, 0), patience)
	server := run.Serve(Script(Accept(), SendBuffer(32<<10), WriteSegments(segments...).As("write"), Close()))
	client := run.Call(Script(Connect().ReceiveBuffer(32<<10), Sleep(20*time.Millisecond), ReadEOF().As("receive")))
	sent, _ := client.Wait()
	served, _ := server.Wait()
	want := len("one") + len(big) + len("two\r\n")
	assert.Equal(t, want, served.Bytes("write"), "bytes written")
	assert.Equal(t, want, sent.Bytes("receive"), "bytes received")
	assert.GreaterOrEqual(t, len(served.Labelled("write")), 2, "calls that wrote it all to a reader that had not begun")
}

func TestThreadsShareTheConnection(t *testing.T) {
	run := NewRun(t, Listen(t, TCP4, 0), patience)
	server := run.Serve(Threads(
		[]Step{Accept().As("accept"), Signal(accepted)},
		[]Step{Await(accepted), Read(1).As("read"), Signal(answered)},
		[]Step{Await(answered), Write("b").As("write"), Close()}))
	client := run.Call(Script(Connect(), Write("a"), ReadEOF().As("receive")))
	client.Wait()
	served, _ := server.Wait()
	a, r, w := mustFirst(t, served, "accept"), mustFirst(t, served, "read"), mustFirst(t, served, "write")
	assert.True(t, a.TID != r.TID && r.TID != w.TID && a.TID != w.TID, "threads %d, %d, %d are not three", a.TID, r.TID, w.TID)
	assert.Equal(t, server.PID(), a.PID, "the process that accepted")
	assert.Equal(t, server.PID(), w.PID, "the process that wrote")
}

func TestConnectionMovesToAnotherProcess(t *testing.T) {
	answer := []Step{Read(1).As("read"), Write("b").As("write"), Close()}
	for name, steps := range map[string][]Step{
		"passed": {Socketpair(1, 2),
			Spawn(Script(append([]Step{TakeFD(2)}, answer...)...).Inheriting(2)),
			Accept().As("accept"), PassFD(1), Close()},
		"inherited": {Accept().As("accept"),
			Spawn(Script(answer...).Inheriting(0)), Close()},
	} {
		t.Run(name, func(t *testing.T) {
			run := NewRun(t, Listen(t, TCP4, 0), patience)
			server := run.Serve(Script(steps...))
			client := run.Call(Script(Connect(), Write("a"), ReadEOF().As("receive")))
			sent, _ := client.Wait()
			served, _ := server.Wait()
			assert.Equal(t, 1, sent.Bytes("receive"), "bytes that the client read")
			assert.NotEqual(t, mustFirst(t, served, "accept").PID, mustFirst(t, served, "read").PID, "one process accepted and read")
		})
	}
}

func TestResetReachesTheServer(t *testing.T) {
	run := NewRun(t, Listen(t, TCP4, 0), patience)
	server := run.Serve(Script(Accept(), Read(1), Signal(accepted), Await(answered),
		Write("late").As("write").Tolerant(), Close()))
	client := run.Call(Script(Connect(), Write("a"), Await(accepted), Reset(), Signal(answered)))
	client.Wait()
	served, _ := server.Wait()
	assert.Contains(t, mustFirst(t, served, "write").Err, "reset", "how the late write failed")
}

func TestBacklogHoldsWaitingClients(t *testing.T) {
	run := NewRun(t, Listen(t, TCP4, 1), patience)
	one := []Step{Accept().As("accept"), Read(1).As("read"), Sleep(20 * time.Millisecond), Write("b"), Close()}
	server := run.Serve(Script(append(append(append([]Step{}, one...), one...), one...)...))
	var clients []*Part
	for range 3 {
		clients = append(clients, run.Call(Script(Connect(), Write("a").As("send"), ReadEOF())))
	}
	for _, c := range clients {
		c.Wait()
	}
	served, noise := server.Wait()
	accepts := served.Labelled("accept")
	for i := 1; i < len(accepts); i++ {
		assert.GreaterOrEqual(t, since(accepts[i-1].After, accepts[i].After), 20*time.Millisecond,
			"the time of accept %d after the one before (noise %s)", i, noise)
	}
}

package peer

import (
	"os"
	"strings"
	"testing"
	"time"
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
	if late := got - least; late < -tolerance || late > 5*tolerance+noise {
		t.Errorf("%s took %s, scripted %s (noise %s)", what, got, least, noise)
	}
}

func since(a, b int64) time.Duration { return time.Duration(b - a) }

func mustFirst(t *testing.T, s Stamps, label string) Stamp {
	t.Helper()
	st, ok := s.First(label)
	if !ok {
		t.Fatalf("no stamp %q in\n%s", label, s)
	}
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
			if got := served.Bytes("read"); got != 18 {
				t.Errorf("server read %d bytes, want 18", got)
			}
			if got := sent.Bytes("receive"); got != 19 {
				t.Errorf("client read %d bytes, want 19", got)
			}
			if read.After < mustFirst(t, sent, "send").Before {
				t.Error("the server read before the client sent: the clocks differ")
			}
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
				if got[0] != got[1] {
					t.Errorf("%s carried %d bytes, want %d", label, got[0], got[1])
				}
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
			if w, r := served.Bytes("write"), sent.Bytes("receive"); w != 50_000 || r != 50_000 {
				t.Errorf("wrote %d, received %d, want 50000", w, r)
			}
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
			if pause := mustFirst(t, sent, "pause"); last.After < pause.After {
				t.Error("the writer was done before the reader began")
			}
			if got := served.Bytes("write"); got != 4<<20 {
				t.Errorf("wrote %d bytes, want %d", got, 4<<20)
			}
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
	if w, r := served.Bytes("write"), sent.Bytes("receive"); w != want || r != want {
		t.Errorf("wrote %d, received %d, want %d", w, r, want)
	}
	if calls := len(served.Labelled("write")); calls < 2 {
		t.Errorf("%d calls wrote it all to a reader that had not begun", calls)
	}
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
	if a.TID == r.TID || r.TID == w.TID || a.TID == w.TID {
		t.Errorf("threads %d, %d, %d are not three", a.TID, r.TID, w.TID)
	}
	if a.PID != server.PID() || w.PID != server.PID() {
		t.Errorf("processes %d and %d, want %d", a.PID, w.PID, server.PID())
	}
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
			if got := sent.Bytes("receive"); got != 1 {
				t.Errorf("client read %d bytes, want 1", got)
			}
			if a, r := mustFirst(t, served, "accept"), mustFirst(t, served, "read"); a.PID == r.PID {
				t.Errorf("process %d accepted and read", a.PID)
			}
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
	if st := mustFirst(t, served, "write"); !strings.Contains(st.Err, "reset") {
		t.Errorf("the late write failed with %q, want a reset", st.Err)
	}
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
		if gap := since(accepts[i-1].After, accepts[i].After); gap < 20*time.Millisecond {
			t.Errorf("accept %d came %s after the one before (noise %s)", i, gap, noise)
		}
	}
}

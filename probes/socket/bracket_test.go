package socket

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// span is the time of a system call by the caller's own clock.
type span struct{ before, after uint64 }

// own is what both ends noted of a request themselves.
type own struct {
	sentFirst, sentLast   span // by the client
	gotFirst, gotLast     span
	readFirst, readLast   span // by the server
	writeFirst, writeLast span
	request, response     string
}

// talker is an end of a connection that reads and writes with plain system
// calls, in pieces as chance has it.
type talker struct {
	fd   int
	rand *rand.Rand
	buf  [8192]byte
}

func clocked(call func() (int, error)) (n int, s span, err error) {
	s.before = monotonic()
	for {
		if n, err = call(); err != unix.EINTR {
			break
		}
		s.before = monotonic()
	}
	s.after = monotonic()
	return n, s, err
}

// pause lets the other end have the lead now and then.
func (k *talker) pause() {
	switch k.rand.IntN(8) {
	case 0:
		time.Sleep(time.Duration(k.rand.IntN(200)) * time.Microsecond)
	case 1:
		runtime.Gosched()
	}
}

// say writes all of text in up to four pieces.
func (k *talker) say(text []byte) (first, last span, err error) {
	for pieces := 1 + k.rand.IntN(4); len(text) > 0; pieces-- {
		n := len(text)
		if pieces > 1 {
			n = 1 + k.rand.IntN(len(text))
		}
		n, last, err = clocked(func() (int, error) { return k.write(text[:n]) })
		if err != nil {
			return first, last, err
		}
		if first == (span{}) {
			first = last
		}
		text = text[n:]
		k.pause()
	}
	return first, last, nil
}

func (k *talker) write(b []byte) (int, error) {
	switch k.rand.IntN(3) {
	case 0:
		return unix.Write(k.fd, b)
	case 1:
		half := len(b) / 2
		return unix.Writev(k.fd, [][]byte{b[:half], b[half:]})
	}
	return unix.SendmsgN(k.fd, b, nil, nil, unix.MSG_NOSIGNAL)
}

// hear reads one message. Both ends tell its length in a field that comes
// first of all.
func (k *talker) hear() (text []byte, first, last span, err error) {
	for {
		limit := len(k.buf)
		if k.rand.IntN(3) == 0 {
			limit = 1 + k.rand.IntN(200)
		}
		if whole, left := messageLeft(text); whole {
			return text, first, last, nil
		} else if left > 0 {
			limit = min(limit, left) // what is behind belongs to the next one
		}
		var n int
		n, last, err = clocked(func() (int, error) { return k.read(k.buf[:limit]) })
		if err != nil || n == 0 {
			return nil, first, last, err
		}
		if first == (span{}) {
			first = last
		}
		text = append(text, k.buf[:n]...)
	}
}

func (k *talker) read(b []byte) (int, error) {
	if k.rand.IntN(2) == 0 {
		return unix.Read(k.fd, b)
	}
	n, _, err := unix.Recvfrom(k.fd, b, 0)
	return n, err
}

// messageLeft tells whether the message is whole and, if its head is, how much
// is missing.
func messageLeft(text []byte) (whole bool, left int) {
	head := bytes.Index(text, []byte("\r\n\r\n"))
	if head < 0 {
		return false, 0
	}
	_, value, _ := strings.Cut(string(text[:head]), "Content-Length: ")
	value, _, _ = strings.Cut(value, "\r\n")
	length, _ := strconv.Atoi(value)
	left = head + 4 + length - len(text)
	return left == 0, left
}

func body(r *rand.Rand) string {
	switch r.IntN(6) {
	case 0, 1:
		return strings.Repeat("b", r.IntN(3000))
	case 2:
		return strings.Repeat("B", 1+r.IntN(150_000))
	}
	return ""
}

// converse has a client and a server exchange requests on one connection, and
// notes by the request's number what each of them saw.
func converse(t *testing.T, l *line, seed uint64, first, requests int, notes []own) {
	server := &talker{fd: descriptor(t, l.server), rand: rand.New(rand.NewPCG(seed, 1))}
	client := &talker{fd: descriptor(t, l.client), rand: rand.New(rand.NewPCG(seed, 2))}
	served := make(chan error, 1)
	go func() { served <- server.serve(notes[first : first+requests]) }()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := first; i < first+requests; i++ {
		assert.NoError(t, client.ask(i, &notes[i]))
	}
	assert.NoError(t, unix.Shutdown(client.fd, unix.SHUT_RDWR))
	assert.NoError(t, <-served)
}

func (k *talker) ask(number int, note *own) (err error) {
	content := body(k.rand)
	text := fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", number, len(content), content)
	note.request = text
	note.sentFirst, note.sentLast, err = k.say([]byte(text))
	if err != nil {
		return err
	}
	_, note.gotFirst, note.gotLast, err = k.hear()
	return err
}

func (k *talker) serve(notes []own) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range notes {
		note := &notes[i]
		if _, note.readFirst, note.readLast, err = k.hear(); err != nil {
			return err
		}
		k.pause()
		content := body(k.rand)
		text := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(content), content)
		note.response = text
		if note.writeFirst, note.writeLast, err = k.say([]byte(text)); err != nil {
			return err
		}
	}
	return nil
}

// stamp is one of a record, and the time that it must lie in.
type stamp struct {
	name         string
	at, from, to uint64
}

func in(name string, at uint64, s span) stamp { return stamp{name, at, s.before, s.after} }

// request are the stamps of a request: each lies in the time of the call that
// it is of. Bytes have arrived between the begin of the client's call and the
// end of the server's.
func (n *own) served(r seenRequest) []stamp {
	return []stamp{
		{"arrived", r.Arrived, n.sentFirst.before, n.readFirst.after},
		in("read_first", r.ReadFirst, n.readFirst),
		{"arrived_last", r.ArrivedLast, n.sentLast.before, n.readLast.after},
		in("read_last", r.ReadLast, n.readLast),
		in("write_first", r.WriteFirst, n.writeFirst),
		in("write_last", r.WriteLast, n.writeLast),
	}
}

// called are the stamps of the same exchange, seen at the client's end.
func (n *own) called(r seenRequest) []stamp {
	return []stamp{
		in("write_first", r.WriteFirst, n.sentFirst),
		in("write_last", r.WriteLast, n.sentLast),
		in("read_first", r.ReadFirst, n.gotFirst),
		in("read_last", r.ReadLast, n.gotLast),
	}
}

// check compares a record with what both ends noted, and counts the stamps
// that are absent.
func (n *own) check(r seenRequest) (absent int, err error) {
	stamps := n.served(r)
	if r.kind == Call {
		stamps = n.called(r)
	}
	for _, s := range stamps {
		switch {
		case s.at == 0:
			absent++
		case s.at < s.from || s.at > s.to:
			return absent, fmt.Errorf("%s is %d ns behind the begin of what it is of, which took %d ns", s.name, int64(s.at-s.from), s.to-s.from)
		}
	}
	if r.RequestBytes != uint64(len(n.request)) || r.ResponseBytes != uint64(len(n.response)) {
		return absent, fmt.Errorf("%d and %d bytes, not %d and %d", r.RequestBytes, r.ResponseBytes, len(n.request), len(n.response))
	}
	if !isHead(r.head, n.request) || !isHead(r.resp, n.response) {
		return absent, fmt.Errorf("the heads are %q and %q", r.head, r.resp)
	}
	return absent, nil
}

// isHead tells whether got is the begin of text: all of its head, as far as it
// is kept, and perhaps more.
func isHead(got, text string) bool {
	head := strings.Index(text, "\r\n\r\n") + 4
	return strings.HasPrefix(text, got) && len(got) >= min(head, DefaultHeadBytes)
}

// bothEnds keeps what is seen of a server's connections, at the clients' ends
// as well: they are in a process that serves.
type bothEnds struct{ *seen }

func (b bothEnds) HandleRecord(kind Kind, r Record) {
	if kind == Call && r.PeerPort == b.port {
		b.requests = append(b.requests, seenRequest{RecordFields: *r.record, kind: kind, head: string(r.RequestHead()), resp: string(r.ResponseHead())})
		return
	}
	b.seen.HandleRecord(kind, r)
}

// TestStampsAgreeWithBothEnds has clients and servers talk as fast as they can,
// in pieces of chance, and compares each stamp with the time that the caller's
// own clock says.
func TestStampsAgreeWithBothEnds(t *testing.T) {
	forEachPlan(t, func(t *testing.T, plan Plan) {
		for network, address := range map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": filepath.Join(t.TempDir(), "s")} {
			t.Run(network, func(t *testing.T) { agree(t, plan, network, address) })
		}
	})
}

func agree(t *testing.T, plan Plan, network, address string) {
	const connections, requests = 30, 100

	listener, got, p := openListener(t, plan, network, address)
	notes := make([]own, 1+connections*requests)
	converse(t, newLine(t, listener), connections, 0, 1, notes) // from here on the process serves: what it asks are calls
	var all sync.WaitGroup
	slots := make(chan struct{}, 3)
	for i := range connections {
		l := newLine(t, listener)
		slots <- struct{}{}
		all.Go(func() {
			converse(t, l, uint64(i), 1+i*requests, requests, notes)
			<-slots
		})
	}
	all.Wait()
	runOut(t, p, bothEnds{got})
	records, absent := map[Kind]int{}, 0
	for _, r := range got.finals() {
		number, ok := numberOf(r.head)
		if !ok {
			continue
		}
		n, err := notes[number].check(r)
		require.NoError(t, err, "request %d: %+v", number, r.RecordFields)
		records[r.kind]++
		absent += n
	}
	assert.Equal(t, len(notes), records[Final]+records[Tentative])
	assert.Equal(t, len(notes)-1, records[Call])
	assert.Less(t, absent, len(notes)/100)
	t.Logf("%v records, %d stamps are absent", records, absent)
}

func numberOf(head string) (int, bool) {
	rest, ok := strings.CutPrefix(head, "POST /")
	if !ok {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, " ")
	number, err := strconv.Atoi(digits)
	return number, err == nil
}

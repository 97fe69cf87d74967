package socket

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"lapwing/probes/socket/survey"
	"lapwing/probes/socket/wire"
)

// own is what both ends noted of a request themselves.
type own struct {
	connected, accepted   span // of its connection
	sentFirst, sentLast   span // by the client
	gotFirst, gotLast     span
	readFirst, readLast   span // by the server
	writeFirst, writeLast span
	request, response     string
}

// converse lets a client and a server exchange requests on one connection. Their numbers
// start with first. It notes what each end saw.
func converse(t *testing.T, l *line, first int, notes []own) {
	server := &talker{fd: descriptor(t, l.server), rand: rand.New(rand.NewPCG(uint64(first), 1))}
	client := &talker{fd: descriptor(t, l.client), rand: rand.New(rand.NewPCG(uint64(first), 2))}
	served := make(chan error, 1)
	go func() { served <- server.serve(notes) }()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range notes {
		notes[i].connected, notes[i].accepted = l.connected, l.accepted
		assert.NoError(t, client.ask(first+i, &notes[i]))
	}
	if client.rand.IntN(2) == 0 {
		assert.NoError(t, client.hangUp(l.client))
	}
	assert.NoError(t, <-served)
	assert.NoError(t, server.hangUp(l.server))
}

// hangUp closes both descriptors of this end.
func (k *talker) hangUp(c net.Conn) error {
	k.pause()
	return errors.Join(unix.Close(k.fd), c.Close())
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

// stamp is a stamp of a record, and the time that it must lie in.
type stamp struct {
	name         string
	at, from, to uint64
}

func in(name string, at uint64, s span) stamp { return stamp{name, at, s.before, s.after} }

// served returns the stamps of a request. Each lies in the time of the call that it
// belongs to. Bytes have arrived between the start of the client's call and the end of
// the server's.
func (n *own) served(r seenRequest) []stamp {
	return []stamp{
		{"established", r.Established, n.connected.before, n.accepted.after},
		in("accepted", r.Accepted, n.accepted),
		{"arrived", r.Arrived, n.sentFirst.before, n.readFirst.after},
		in("read_first", r.ReadFirst, n.readFirst),
		{"arrived_last", r.ArrivedLast, n.sentLast.before, n.readLast.after},
		in("read_last", r.ReadLast, n.readLast),
		in("write_first", r.WriteFirst, n.writeFirst),
		in("write_last", r.WriteLast, n.writeLast),
	}
}

// called returns the stamps of the same exchange, seen at the client's end.
func (n *own) called(r seenRequest) []stamp {
	return []stamp{
		in("write_first", r.WriteFirst, n.sentFirst),
		in("write_last", r.WriteLast, n.sentLast),
		in("read_first", r.ReadFirst, n.gotFirst),
		in("read_last", r.ReadLast, n.gotLast),
	}
}

// check compares a record with what both ends noted, and counts the absent stamps.
func (n *own) check(r seenRequest) (absent int, err error) {
	stamps := n.served(r)
	if r.kind == wire.Call {
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
	if r.Acked != 0 && r.Acked < n.writeLast.before {
		return absent, errors.New("acknowledged before it was written")
	}
	if r.kind != wire.Call && (r.ClientWait > r.ReadLast-r.ReadFirst || r.Blocked+r.Produce > r.WriteLast-r.WriteFirst) {
		return absent, errors.New("the parts of parse or of write_back are more than the whole")
	}
	if r.RequestBytes != uint64(len(n.request)) || r.ResponseBytes != uint64(len(n.response)) {
		return absent, fmt.Errorf("%d and %d bytes, not %d and %d", r.RequestBytes, r.ResponseBytes, len(n.request), len(n.response))
	}
	if !isHead(r.head, n.request) {
		return absent, fmt.Errorf("the head is %q", r.head)
	}
	if int(r.OutHead) != headLen(n.response) {
		return absent, fmt.Errorf("the response's head is of %d bytes", r.OutHead)
	}
	return absent, nil
}

func headLen(text string) int { return strings.Index(text, "\r\n\r\n") + 4 }

// isHead reports whether got is the start of text: all of its head, as far as it is kept,
// and perhaps more.
func isHead(got, text string) bool {
	return strings.HasPrefix(text, got) && len(got) >= min(headLen(text), DefaultHeadBytes)
}

// traffic is a part of TestStampsAgreeWithBothEnds.
type traffic struct {
	network               string
	connections, requests int // on each of them
}

func (w traffic) String() string {
	return fmt.Sprintf("%s, %d requests on a connection", w.network, w.requests)
}

// partTime limits the time of a part.
const partTime = 3 * time.Second

// run keeps three connections at a time in use, and returns what both ends noted of
// requests whose numbers start with first.
func (w traffic) run(t *testing.T, first int) []own {
	listener := listen(t, w.network)
	notes := make([]own, w.connections*w.requests)
	slots := make(chan struct{}, 3)
	var all sync.WaitGroup
	for i, begin := 0, time.Now(); i < w.connections; i++ {
		if time.Since(begin) > partTime {
			notes = notes[:i*w.requests] // on a slow machine
			break
		}
		l := newLine(t, listener)
		slots <- struct{}{}
		all.Go(func() {
			at := i * w.requests
			converse(t, l, first+at, notes[at:at+w.requests])
			<-slots
		})
	}
	all.Wait()
	return notes
}

// TestStampsAgreeWithBothEnds lets clients and servers talk as fast as they can, in
// random pieces, and compares each stamp with the time by the caller's own clock.
func TestStampsAgreeWithBothEnds(t *testing.T) {
	parts := []traffic{
		{"tcp4", 1, 1}, // from here on the process is a server
		{"tcp4", 20, 100}, {"tcp6", 20, 100}, {"unix", 20, 100},
		{"tcp4", 500, 1}, {"tcp6", 500, 1}, {"unix", 500, 1},
	}
	forEachPlan(t, func(t *testing.T, plan survey.Plan) {
		got := &seen{}
		p := open(t, Options{Plan: plan, RingBytes: 64 << 20})
		var notes []own
		var part []string
		for _, w := range parts {
			for _, note := range w.run(t, len(notes)) {
				notes, part = append(notes, note), append(part, w.String())
			}
		}
		runOut(t, p, ours{got})
		records, absent := map[wire.Kind]int{}, 0
		for _, r := range got.finals() {
			number, ok := numberOf(r.head)
			if !ok || number >= len(notes) {
				continue
			}
			n, err := notes[number].check(r)
			require.NoError(t, err, "request %d, %s: %+v", number, part[number], r.RecordFields)
			records[r.kind]++
			absent += n
		}
		assert.Equal(t, len(notes), records[wire.Final]+records[wire.Tentative])
		assert.Equal(t, len(notes)-1, records[wire.Call], "all but the first")
		assert.Less(t, absent, len(notes)/100)
		t.Logf("%d requests, %d calls, %d stamps are absent", len(notes), records[wire.Call], absent)
	})
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

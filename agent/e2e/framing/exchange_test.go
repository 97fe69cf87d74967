package framing

import (
	"fmt"
	"strings"
	"time"

	"lapwing/agent/e2e/peer"
)

// row is a connection: what its ends do, and what the agent must print about
// it.
type row struct {
	name     string
	families []peer.Family // nil for TCP and unix
	talk     []exchange

	closes        bool // the server closes the connection after its last write
	sendBuffer    int  // of the server, for all of its responses
	receiveBuffer int  // of the client
}

// exchange is a request and its response. When the row is played, its number
// becomes part of the labels of its steps.
type exchange struct {
	ask     string      // the request, in one piece
	send    []peer.Step // how the client sends it; empty: in one write
	read    []peer.Step // how the server reads it; empty: in one read
	work    time.Duration
	write   []peer.Step // how the server responds
	unread  []peer.Step // what the server reads after that
	receive []peer.Step // how the client receives it; empty: as fast as it can

	method, path string // derived from ask if empty
	protocol     string // http/1.1 if empty
	status       int
	flags        []string // exactly the expected flags, except streamed
	failed       bool     // error is set although the status is not an error
	trace, span  string   // of the traceparent that it must continue

	sentAs string // label of the send, if another request was sent with it
	readAs string // the same for the read

	early     bool    // the response starts before the request was read
	blocked   bool    // the client makes the server wait
	endless   bool    // only the close or the next request ends it
	unknown   bool    // its framing cannot be known: no duration is also correct
	answered  int     // bytes of the response, if the labels do not show it; −1: any
	requested int     // bytes of the request, if the labels do not show it; −1: any
	slowest   float64 // minimum share of blocked in write_back; 0.8 if zero
}

// labels returns the labels of the steps of the exchange.
func (x exchange) labels(n string) (send, read, write string) {
	send, read, write = "send"+n, "read"+n, "write"+n
	if x.sentAs != "" {
		send = x.sentAs
	}
	if x.readAs != "" {
		read = x.readAs
	}
	return send, read, write
}

// The labels of what is part of neither a request nor a response.
const (
	interim = "interim"
	aside   = "aside"
)

// The events of a row.
const (
	answered peer.Event = iota // the server has written what the client waits for
	taken                      // the server has read what the client sent
	released                   // the records were printed
)

// on lists the address families for which the row is played.
func (r row) on() []peer.Family {
	if r.families == nil {
		return []peer.Family{peer.TCP4, peer.Unix}
	}
	return r.families
}

// scripts returns what the server and the client of the row do. A connection
// that the server does not close stays open until the records were printed.
func (r row) scripts() (server, client peer.Program) {
	serve := []peer.Step{peer.Accept().As("accept")}
	if r.sendBuffer > 0 {
		serve = append(serve, peer.SendBuffer(r.sendBuffer))
	}
	call := []peer.Step{peer.Connect().ReceiveBuffer(r.receiveBuffer).As("connect")}
	for i, x := range r.talk {
		serve = append(serve, x.serves(number(i))...)
		call = append(call, x.calls(number(i))...)
	}
	if r.closes {
		call = append(call, peer.ReadEOF())
	} else {
		serve = append(serve, peer.Await(released))
		call = append(call, peer.Await(released))
	}
	return peer.Script(append(serve, peer.Close().As("close"))...), peer.Script(append(call, peer.Close())...)
}

func number(i int) string { return fmt.Sprint(i + 1) }

func (x exchange) serves(n string) (steps []peer.Step) {
	if x.read == nil && x.ask != "" {
		x.read = []peer.Step{peer.ReadFull(len(x.ask))}
	}
	steps = append(labelled(x.read, "read"+n), peer.Sleep(x.work))
	steps = append(steps, labelled(x.write, "write"+n)...)
	return append(steps, labelled(x.unread, aside)...)
}

func (x exchange) calls(n string) (steps []peer.Step) {
	if x.send == nil && x.ask != "" {
		x.send = []peer.Step{peer.Write(x.ask)}
	}
	if x.receive == nil {
		x.receive = []peer.Step{peer.ReadFull(sizeOf(x.write))}
	}
	return append(labelled(x.send, "send"+n), labelled(x.receive, "receive"+n)...)
}

// labelled labels the reads and writes that have no label yet.
func labelled(steps []peer.Step, label string) (all []peer.Step) {
	for _, s := range steps {
		carries := sizeOf([]peer.Step{s}) > 0 || strings.HasPrefix(string(s.Op), "read")
		if s.Label == "" && carries {
			s = s.As(label)
		}
		all = append(all, s)
	}
	return all
}

// sizeOf returns the number of bytes that the steps write.
func sizeOf(steps []peer.Step) (n int) {
	for _, s := range steps {
		switch s.Op {
		case peer.OpWrite, peer.OpTrickle, peer.OpWritePoll, peer.OpWriteRoom, peer.OpSendfile, peer.OpSplice:
			n += max(len(s.Data), s.Size)
		case peer.OpSegments:
			for _, part := range s.Segments {
				n += len(part.Data)
			}
		}
	}
	return n
}

// asked returns the method and the path of the exchange.
func (x exchange) asked() (method, path string) {
	words := strings.Fields(x.ask)
	method, path = x.method, x.path
	if method == "" {
		method = words[0]
	}
	if path == "" {
		path, _, _ = strings.Cut(words[1], "?")
	}
	return method, path
}

// get returns a GET request with the header lines.
func get(path string, headers ...string) string { return ask("GET", path, "", headers...) }

// ask returns a request. The header lines frame its body, if it has one.
func ask(method, path, body string, headers ...string) string {
	lines := append([]string{method + " " + path + " HTTP/1.1", "Host: example.test"}, headers...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
}

func lengthOf(body string) string { return fmt.Sprint("Content-Length: ", len(body)) }

const chunkedField = "Transfer-Encoding: chunked"

// head returns the head of a response with the header lines.
func head(status string, headers ...string) string {
	return strings.Join(append([]string{"HTTP/1.1 " + status}, headers...), "\r\n") + "\r\n\r\n"
}

// reply returns a response with a body and its length in the head.
func reply(status, body string) string { return head(status, "Server: script", lengthOf(body)) + body }

// chunk returns one chunk, chunks returns several and the last one.
func chunk(data string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(data), data) }

func chunks(data ...string) (all string) {
	for _, d := range data {
		all += chunk(d)
	}
	return all + lastChunk
}

const lastChunk = "0\r\n\r\n"

// plain returns a request of 20 ms with a response in one write.
func plain(path string) exchange {
	return exchange{ask: get(path), work: ms(20), status: 200, write: []peer.Step{peer.Write(reply("200 OK", "plain"))}}
}

// padding returns a header line of n bytes.
func padding(n int) string { return "X-Pad: " + strings.Repeat("p", n-len("X-Pad: ")) }

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

package e2e

import (
	"strings"

	"lapwing/agent/e2e/peer"
)

// pipeliningCases have more than one request in flight on a connection. The
// first is not marked as pipelined, because none was in flight when it arrived.
func pipeliningCases() []hardCase {
	return []hardCase{
		oneSegment("separate writes", false),
		oneSegment("one write", true),
		oneSegmentByThreads(),
		separateSegments(),
		midResponse(),
		requestAndAHalf(),
	}
}

func pipelined(prefix string, statuses ...int) []want {
	var wants []want
	for i, status := range statuses {
		n := itoa(i + 1)
		w := want{n: n, path: prefix + n, status: status, later: i > 0}
		if i > 0 {
			w.flags = []string{"pipelined"}
		} else {
			w.unmarked = []string{"pipelined"}
		}
		wants = append(wants, w)
	}
	return wants
}

// oneSegment has three requests in one segment and one read.
func oneSegment(name string, oneWrite bool) hardCase {
	prefix := "/" + strings.ReplaceAll(name, " ", "-")
	requests := []string{get(prefix + "1"), get(prefix + "2"), get(prefix + "3")}
	responses := []string{reply("200 OK", "one"), reply("404 Not Found", "two"), reply("500 Oops", "three")}
	wants := pipelined(prefix, 200, 404, 500)
	for i := range wants {
		wants[i].read = "read1"
		wants[i].requestBytes, wants[i].responseBytes = len(requests[i]), len(responses[i])
	}
	steps := []peer.Step{peer.Accept().As("accept"), peer.Read(4096).As("read1")}
	if oneWrite {
		for i := range wants {
			wants[i].write = "write1"
		}
		steps = append(steps, peer.Sleep(ms(20)), peer.Write(strings.Join(responses, "")).By(peer.ViaVector).As("write1"))
	} else {
		for i, r := range responses {
			steps = append(steps, peer.Sleep(ms(20)), peer.Write(r).As("write"+itoa(i+1)))
		}
	}
	all := peer.Write(strings.Join(requests, ""))
	for i := range wants {
		wants[i].sent = "send1"
	}
	return hardCase{
		name:   "three requests in one segment, " + name,
		server: peer.Script(append(steps, peer.Close())...),
		clients: []peer.Program{peer.Script(peer.Connect().As("connect"), all.As("send1"),
			peer.ReadEOF(), peer.Close())},
		want: wants,
	}
}

// oneSegmentByThreads has three requests in one read, and a thread for each
// response.
func oneSegmentByThreads() hardCase {
	c := oneSegment("three threads", false)
	steps := c.server.Threads[0]
	accept, read, answers := steps[0], steps[1], steps[2:len(steps)-1] // each with a pause and a write
	c.server = peer.Threads(
		[]peer.Step{accept, read, answers[0], answers[1], peer.Signal(taken)},
		[]peer.Step{peer.Await(taken), answers[2], answers[3], peer.Signal(answered)},
		[]peer.Step{peer.Await(answered), answers[4], answers[5], peer.Close()})
	return c
}

// separateSegments has three requests that are sent one after the other without
// waiting for a response, and read one by one.
func separateSegments() hardCase {
	var client, server []peer.Step
	client = append(client, peer.Connect().As("connect"))
	server = append(server, peer.Accept().As("accept"), peer.Await(asked))
	for _, n := range []string{"1", "2", "3"} {
		request := get("/segment" + n)
		client = append(client, peer.Write(request).As("send"+n), peer.Sleep(ms(10)))
		server = append(server, peer.ReadFull(len(request)).As("read"+n), peer.Sleep(ms(20)),
			peer.Write(reply("200 OK", n)).As("write"+n))
	}
	return hardCase{
		name:    "three requests in separate segments",
		server:  peer.Script(append(server, peer.Close())...),
		clients: []peer.Program{peer.Script(append(client, peer.Signal(asked), peer.ReadEOF(), peer.Close())...)},
		want:    pipelined("/segment", 200, 200, 200),
	}
}

// midResponse has a second request that arrives and is read while the first
// response is still being written.
func midResponse() hardCase {
	first := reply("200 OK", strings.Repeat("r", 400))
	begin := len(first) - 200
	return hardCase{
		name: "request read in mid-response",
		server: peer.Script(peer.Accept().As("accept"), peer.ReadHead().As("read1"), peer.Sleep(ms(10)),
			peer.Write(first[:begin]).As("write1"), peer.Signal(answered), peer.Await(asked),
			peer.ReadHead().As("read2"), peer.Sleep(ms(30)),
			peer.Write(first[begin:]).As("write1"), peer.Sleep(ms(20)),
			peer.Write(reply("404 Not Found", "two")).As("write2"), peer.Close()),
		clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
			peer.Write(get("/mid1")).As("send1"), peer.Await(answered),
			peer.Write(get("/mid2")).As("send2"), peer.Signal(asked), peer.ReadEOF(), peer.Close())},
		want: pipelined("/mid", 200, 404),
	}
}

// requestAndAHalf has one read that returns a whole request and the start of
// the next, and another read with the rest after the first response.
func requestAndAHalf() hardCase {
	one, two := get("/half1"), get("/half2")
	wants := pipelined("/half", 200, 200)
	wants[0].requestBytes, wants[1].requestBytes = len(one), len(two)
	wants[1].first = "read1"
	wants[1].sent = "send1"
	wants[1].clientWait = between("read1", "send2")
	return hardCase{
		name: "request and a half in one read",
		server: peer.Script(peer.Accept().As("accept"), peer.ReadFull(len(one)+10).As("read1"),
			peer.Sleep(ms(20)), peer.Write(reply("200 OK", "one")).As("write1"), peer.Signal(answered),
			peer.ReadFull(len(two)-10).As("read2"), peer.Sleep(ms(10)),
			peer.Write(reply("200 OK", "two")).As("write2"), peer.Close()),
		clients: []peer.Program{peer.Script(peer.Connect().As("connect"),
			peer.Write(one+two[:10]).As("send1"), peer.Await(answered), peer.Sleep(ms(20)),
			peer.Write(two[10:]).As("send2"), peer.ReadEOF(), peer.Close())},
		want: wants,
	}
}

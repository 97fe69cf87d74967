package framing

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"lapwing/agent/e2e/peer"
)

// randomRows are connections whose messages have random framings, head lengths
// and cuts. They are the same in each run.
func randomRows() (rows []row) {
	for seed := range uint64(12) {
		g := chance{rand.New(rand.NewPCG(seed, 10))}
		r := row{name: fmt.Sprintf("by chance, number %d", seed)}
		for i := range 9 {
			r.talk = append(r.talk, g.exchange(i))
		}
		rows = append(rows, r)
	}
	return rows
}

type chance struct{ *rand.Rand }

func (g chance) exchange(i int) exchange {
	path := fmt.Sprint("/chance", i)
	x := exchange{status: []int{200, 201, 404, 503}[g.IntN(4)], work: ms(g.IntN(5))}
	x.trace, x.span = fmt.Sprintf("4bf92f3577b34da6a3ce929d0e0e%04x", g.IntN(1<<16)), fmt.Sprintf("00f067aa0ba9%04x", g.IntN(1<<16))
	fields := []string{"traceparent: 00-" + x.trace + "-" + x.span + "-01"}
	method, body, framing := "GET", "", ""
	if g.IntN(2) == 0 {
		method = "POST"
		body, framing = g.body()
	}
	x.ask = ask(method, path, body, g.fields(append(fields, framing))...)
	x.send = g.pieces(x.ask)
	x.read = []peer.Step{peer.ReadFull(len(x.ask)).In(1 + g.IntN(len(x.ask)))}
	body, framing = g.body()
	final := head(fmt.Sprint(x.status, " Status"), g.fields([]string{framing})...) + body
	before := ""
	if g.IntN(3) == 0 {
		before, x.answered = hints(g.IntN(12)), -1
	}
	for _, s := range g.pieces(before + final) {
		if sizeOf(append(x.write, s)) <= len(before) {
			s = s.As(interim)
		}
		x.write = append(x.write, s)
	}
	return x
}

// body returns a body and the header field that frames it.
func (g chance) body() (body, framing string) {
	text := func() string {
		return strings.Repeat([]string{"x", "\r\n", "0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "Content-Length: 9\r\n"}[g.IntN(5)], 1+g.IntN(100))
	}
	if g.IntN(2) == 0 {
		body = text()
		return body, lengthOf(body)
	}
	var data []string
	for range 1 + g.IntN(4) {
		data = append(data, text())
	}
	return chunks(data...), chunkedField
}

// fields returns the given fields mixed with others, in random order.
func (g chance) fields(own []string) []string {
	for range g.IntN(3) {
		own = append(own, padding([]int{10, 100, 300, 2000, 5000}[g.IntN(5)]))
	}
	own = slices.DeleteFunc(own, func(f string) bool { return f == "" })
	g.Shuffle(len(own), func(i, j int) { own[i], own[j] = own[j], own[i] })
	return own
}

// pieces cuts a text into a few writes, plain or as segments.
func (g chance) pieces(text string) (steps []peer.Step) {
	for len(text) > 0 {
		n := len(text)
		if len(steps) < 5 && g.IntN(4) > 0 {
			n = 1 + g.IntN(len(text))
		}
		piece := text[:n]
		text = text[n:]
		if a := g.IntN(len(piece)); g.IntN(2) == 0 && a > 0 {
			steps = append(steps, peer.WriteSegments(peer.Segments(piece[:a/2], piece[a/2:a], piece[a:])...))
			continue
		}
		steps = append(steps, peer.Write(piece))
	}
	return steps
}

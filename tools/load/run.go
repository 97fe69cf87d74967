package load

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// patience limits the time of one client: a server that does not answer for
// that long has failed.
const patience = 30 * time.Second

// Result is what the clients did in a run.
type Result struct {
	Sent []Sent // in no particular order
	Errs []error
}

// Run starts clients that connect to a TCP address and play the script. It
// waits for the last of them. Cancelling the context stops further clients from
// starting.
func Run(ctx context.Context, address string, script Script, when Bursts) Result {
	p := &player{address: address, script: script, ids: newIDs()}
	attacker := vegeta.NewAttacker(
		vegeta.Client(&http.Client{Transport: p}),
		vegeta.Workers(uint64(when.Size)), // more are started if a client comes and none is free
	)
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()
	target := vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodGet, URL: "http://" + address})
	var r Result
	for hit := range attacker.Attack(target, when, 0, "") {
		if hit.Error != "" {
			r.Errs = append(r.Errs, errors.New(hit.Error))
		}
	}
	r.Sent = p.sent
	return r
}

// player is the transport of vegeta's client. Each hit is a client, which plays
// the script on a connection of its own.
type player struct {
	address string
	script  Script
	ids     *ids

	mu   sync.Mutex
	sent []Sent
}

var _ http.RoundTripper = (*player)(nil)

// RoundTrip implements http.RoundTripper.
func (p *player) RoundTrip(r *http.Request) (*http.Response, error) {
	sent, err := p.play()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, sent...)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Body: http.NoBody, Request: r}, nil
}

func (p *player) play() ([]Sent, error) {
	conn, err := dial(p.address, p.script.ReceiveBuffer, patience)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	c := &Conn{conn: conn, in: bufio.NewReader(conn), ids: p.ids}
	err = p.script.Play(c)
	sent, unstamped := c.finish()
	return sent, errors.Join(err, unstamped)
}

// Peak returns the highest number of requests in flight at the same time, from
// the client's send to its last byte of the response.
func (r Result) Peak() int {
	type edge struct {
		at   int64
		step int
	}
	var edges []edge
	for _, s := range r.Sent {
		if s.Done != 0 {
			edges = append(edges, edge{s.Before, 1}, edge{s.Done, -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int {
		if a.at == b.at {
			return a.step - b.step
		}
		if a.at < b.at {
			return -1
		}
		return 1
	})
	peak, now := 0, 0
	for _, e := range edges {
		now += e.step
		peak = max(peak, now)
	}
	return peak
}

package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"lapwing/probes/socket/survey"
)

// state is the part of the agent that runs next to the server.
type state string

const (
	stateNone    state = "none"    // no agent
	stateIdle    state = "idle"    // an agent with a filter for an unused port
	stateStopped state = "stopped" // only the probes: the process of the agent is stopped
	stateAll     state = "all"
)

// words returns the name of the state for people.
func (s state) words() string {
	switch s {
	case stateNone:
		return "no agent"
	case stateIdle:
		return "idle filter"
	case stateStopped:
		return "kernel side alone"
	}
	return string(s)
}

// mode is the kind of connections and their transport, such as kept:tcp.
type mode string

// modeDatagrams has no requests: datagrams pass between two sockets that the
// agent does not measure.
const modeDatagrams mode = "kept:udp"

// connections describes how many requests a connection carries.
func (m mode) connections() string {
	if m == modeDatagrams {
		return "a datagram of 200 bytes"
	}
	if strings.HasPrefix(string(m), "kept:") {
		return "kept alive"
	}
	return "one request per connection"
}

func (m mode) transport() string {
	_, transport, _ := strings.Cut(string(m), ":")
	if transport == "unix" {
		return "unix socket"
	}
	return strings.ToUpper(transport)
}

// key identifies a figure. The plan of stateNone is empty: it is measured once
// per kernel.
type key struct {
	Kernel string      `json:"kernel"`
	Plan   survey.Plan `json:"plan,omitempty"`
	State  state       `json:"state"`
	Mode   mode        `json:"mode"`
}

func (k key) String() string {
	words := "Linux " + k.Kernel
	if k.Plan != "" {
		words += ", plan " + string(k.Plan)
	}
	return fmt.Sprintf("%s, %s, %s %s", words, k.State.words(), k.Mode.transport(), k.Mode.connections())
}

// figure is the measurement of one key, in instructions per request.
type figure struct {
	key
	Instructions int `json:"instructions"`
	// Process is the share of the agent's own process.
	Process int `json:"process,omitempty"`
}

// parseFigure parses what follows "figure" on a line of the guest.
func parseFigure(kernel, rest string) (figure, error) {
	words := strings.Fields(rest)
	if len(words) != 7 {
		return figure{}, fmt.Errorf("a figure has 7 words, not %q", rest)
	}
	var numbers [4]uint64
	for i, word := range words[3:] {
		n, err := strconv.ParseUint(word, 10, 63)
		if err != nil {
			return figure{}, fmt.Errorf("read the figure %q: %w", rest, err)
		}
		numbers[i] = n
	}
	requests, loop, afterwards, agent := numbers[0], numbers[1], numbers[2], numbers[3]
	if requests == 0 || loop == 0 {
		return figure{}, fmt.Errorf("the figure %q counts nothing", rest)
	}
	f := figure{
		key:          key{Kernel: kernel, State: state(words[1]), Mode: mode(words[2])},
		Instructions: int((loop + afterwards + requests/2) / requests),
	}
	if f.State != stateNone {
		f.Plan = survey.Plan(words[0])
	}
	// A stopped agent uses nothing, and an idle one has no requests to divide
	// its usage by.
	if f.State == stateAll {
		f.Process = int((agent + requests/2) / requests)
	}
	return f, nil
}

// checkAgent parses what follows "agent" on a line of the guest. It fails if
// the agent missed requests, because such an agent would look cheap.
func checkAgent(rest string) error {
	words := strings.SplitN(rest, " ", 4)
	if len(words) != 4 {
		return fmt.Errorf("an agent's line has 4 words, not %q", rest)
	}
	asked, err := strconv.ParseUint(words[2], 10, 64)
	if err != nil {
		return fmt.Errorf("read the requests that were made: %w", err)
	}
	if state(words[1]) == stateIdle {
		asked = 0
	}
	var totals struct {
		Final    bool
		Services []struct {
			Service  string
			Requests uint64
		}
		Lost map[string]uint64
	}
	if err := json.Unmarshal([]byte(words[3]), &totals); err != nil {
		return fmt.Errorf("read the agent's last line %q: %w", words[3], err)
	}
	var seen uint64
	for _, service := range totals.Services {
		seen += service.Requests
	}
	if !totals.Final || seen != asked || len(totals.Lost) > 0 {
		return fmt.Errorf("the agent of plan %s, state %s, reported %d of %d requests: %s", words[0], words[1], seen, asked, words[3])
	}
	return nil
}

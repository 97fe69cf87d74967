package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"lapwing/probes/socket/survey"
)

// architecture is one kind of reference server.
type architecture struct {
	name string
	// single means that the server always has one worker.
	single bool
	// blocking means that a slow request blocks the whole server, or the
	// requests on the same event loop.
	blocking bool
	// readerTID means that the thread that accepted reads the requests, and
	// other threads run the application.
	readerTID bool
	// upstream means that the server is in front of a daemon, or after a front
	// end.
	upstream bool
}

var architectures = []architecture{
	{name: "serial", single: true, blocking: true},
	{name: "prefork"},
	{name: "threaded"},
	{name: "reader", readerTID: true},
	{name: "evented", blocking: true},
	{name: archFront, upstream: true},
	{name: archDaemon, upstream: true},
}

const (
	archFront  = "front"
	archDaemon = "daemon"
)

// level is the number of clients that come at once, as a multiple of the
// workers.
type level struct {
	name    string
	clients func(workers int) int
}

var loads = []level{
	{"one", func(int) int { return 1 }},
	{"1x", func(workers int) int { return workers }},
	{"4x", func(workers int) int { return 4 * workers }},
}

// omission is a rule for what is left out, because an architecture cannot do it
// or it would show nothing new.
type omission struct {
	arch   string // empty: all except the two that have an upstream connection
	covers func(scenario) bool
	reason string
}

var omissions = []omission{
	{"serial", func(s scenario) bool { return s.reuses }, "it closes the connection after each response"},
	{archDaemon, func(s scenario) bool { return s.hop == (hop{}) }, "it is measured behind its front end, in the scenarios named after their protocol"},
	{"", func(s scenario) bool { return s.hop != (hop{}) }, "there is no upstream connection"},
}

func (o omission) applies(a architecture, s scenario) bool {
	return (o.arch == a.name || o.arch == "" && !a.upstream) && o.covers(s)
}

// combination is one cell of the matrix before it has run.
type combination struct {
	plan     survey.Plan
	arch     architecture
	scenario scenario
	load     level
}

func (c combination) String() string {
	return fmt.Sprintf("%-7s  %-8s  %-12s  %-3s", c.plan, c.arch.name, c.scenario.name, c.load.name)
}

// cells lists the selected cells, ordered so that the next cell can often use
// the same server and agent, and what a rule leaves out.
func (s selection) cells() (todo []combination, omitted map[string][]string) {
	omitted = make(map[string][]string)
	for _, plan := range s.plans {
		for _, arch := range named(architectures, s.archs, func(a architecture) string { return a.name }) {
			for _, scenario := range named(scenarios, s.scenarios, func(s scenario) string { return s.name }) {
				if why := reason(arch, scenario); why != "" {
					note(omitted, arch.name+": "+why, scenario.name)
					continue
				}
				for _, load := range named(loads, s.loads, func(l level) string { return l.name }) {
					todo = append(todo, combination{plan, arch, scenario, load})
				}
			}
		}
	}
	return todo, omitted
}

func reason(a architecture, s scenario) string {
	for _, o := range omissions {
		if o.applies(a, s) {
			return o.reason
		}
	}
	return ""
}

func note(omitted map[string][]string, why, what string) {
	if !slices.Contains(omitted[why], what) {
		omitted[why] = append(omitted[why], what)
	}
}

// tell prints what is left out and why.
func tell(w io.Writer, omitted map[string][]string) {
	lines := make([]string, 0, len(omitted))
	for why, what := range omitted {
		arch, why, _ := strings.Cut(why, ": ")
		lines = append(lines, fmt.Sprintf("left out: %s × %s: %s\n", arch, strings.Join(what, ", "), why))
	}
	slices.Sort(lines)
	_, _ = io.WriteString(w, strings.Join(lines, ""))
}

func named[T any](from []T, names []string, name func(T) string) []T {
	return slices.DeleteFunc(slices.Clone(from), func(v T) bool { return !slices.Contains(names, name(v)) })
}

func namesOf[T any](from []T, name func(T) string) []string {
	var names []string
	for _, v := range from {
		names = append(names, name(v))
	}
	return names
}

func architectureNames() []string {
	return namesOf(architectures, func(a architecture) string { return a.name })
}
func scenarioNames() []string { return namesOf(scenarios, func(s scenario) string { return s.name }) }
func loadNames() []string     { return namesOf(loads, func(l level) string { return l.name }) }

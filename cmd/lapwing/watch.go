package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"lapwing/agent/config"
	"lapwing/collectors/text"
	"lapwing/exporters/console"
	"lapwing/exporters/health"
	"lapwing/probes/socket/survey"
)

// watchFlags are the flags that trace and top share.
type watchFlags struct {
	agentFlags
	format  *string
	limit   *time.Duration
	count   *uint64
	noColor bool
}

func (f *watchFlags) add(set *pflag.FlagSet, counted string) {
	f.addFilters(set)
	f.addProbes(set)
	f.format = format(set, "output format: text, or json with one object per line (default text)")
	f.limit = span(set, "for", "stop after this time, counted from when the probes are attached")
	f.count = count(set, "stop after this many "+counted)
	set.BoolVar(&f.noColor, "no-color", false, "do not use colors, even on a terminal")
}

// screen describes where the output goes.
type screen struct {
	terminal bool // input and output: a user looks and can type
	color    bool
	width    int // in cells; 0 if the output is not a terminal
}

func (a *app) screen(noColor bool) screen {
	out, ok := a.out.(*os.File)
	if !ok || !term.IsTerminal(int(out.Fd())) {
		return screen{}
	}
	s := screen{color: !noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if width, _, err := term.GetSize(int(out.Fd())); err == nil {
		s.width = width
	}
	in, ok := a.in.(*os.File)
	s.terminal = ok && term.IsTerminal(int(in.Fd())) && os.Getenv("TERM") != "dumb"
	return s
}

// logger writes the agent's log to w.
func logger(w io.Writer, c config.Log) *slog.Logger {
	log, _ := adjustableLogger(w, c)
	return log
}

// adjustableLogger returns a logger whose level can be changed.
func adjustableLogger(w io.Writer, c config.Log) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	// The configuration was checked; an unknown level would mean the default.
	if l, err := config.ParseLevel(c.Level); err == nil {
		level.Set(l)
	}
	return slog.New(handler(w, c, level)), level
}

func handler(w io.Writer, c config.Log, level slog.Leveler) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.NewJSONHandler(text.JSON(w), options)
	}
	return slog.NewTextHandler(w, options)
}

// quiet keeps routine messages off a terminal, unless the level was set.
func (f *watchFlags) quiet(c config.Log, environ []string) config.Log {
	asked := f.file != "" || slices.ContainsFunc(environ, func(entry string) bool {
		return strings.HasPrefix(entry, config.EnvPrefix+"LOG_LEVEL=")
	})
	if !asked {
		c.Level = "warn"
	}
	return c
}

// announce reports that the probes are attached, to a user or to a script that
// waits for it.
func (a *app) announce(plan survey.Plan) {
	fmt.Fprintf(a.err, "lapwing: attached (plan %s)\n", plan)
}

// startTimer ends the command after d; 0 means never.
func startTimer(d time.Duration, end context.CancelFunc) {
	if d > 0 {
		time.AfterFunc(d, end)
	}
}

// summarize prints the agent's account of itself on one line.
func (a *app) summarize(h health.Health) {
	var parts []string
	for _, c := range health.Table {
		switch {
		case c.Long == "":
		case c.Apart:
			scopes := h.Scopes(c)
			for _, scope := range slices.Sorted(maps.Keys(scopes)) {
				parts = append(parts, causes(scopes[scope])+" "+c.Long+" "+scope)
			}
		case len(c.By) == 0 && (h.Total(c) > 0 || c == health.Requests):
			parts = append(parts, fmt.Sprintf("%d %s", h.Total(c), c.Long))
		case len(c.By) > 0 && (h.Total(c) > 0 || c == health.Lost):
			parts = append(parts, causes(h.Causes(c))+" "+c.Long)
		}
	}
	fmt.Fprintf(a.err, "lapwing: %s\n", strings.Join(parts, ", "))
}

// causes returns a sum with its summands: 3 (ring_full 2, other 1).
func causes(counts map[string]uint64) string {
	var sum uint64
	var each []string
	for _, cause := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[cause]; n > 0 {
			sum += n
			each = append(each, fmt.Sprintf("%s %d", cause, n))
		}
	}
	if sum == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", sum, strings.Join(each, ", "))
}

// json reports whether the output is for programs.
func (f *watchFlags) json() bool { return *f.format == console.FormatJSON }

package main

import (
	"fmt"
	"io"
	"sync/atomic"

	"lapwing/agent/config"
	"lapwing/collectors/service"
	"lapwing/collectors/text"
)

// filterCheck compares a filter with what runs on this host. Without it, a
// mistyped name would only lead to an empty table.
type filterCheck struct {
	// impossible returns an error if the filter can never select anything.
	impossible func(config.Config) error
	// complaints returns which parts of the filter select nothing now.
	complaints func(config.Config) []string
}

var checkFilter = filterCheck{
	impossible: func(cfg config.Config) error {
		if len(cfg.Filter.PIDs) == 0 {
			return nil
		}
		r, err := namesOf(cfg)
		if err != nil {
			return err
		}
		return cfg.Filter.Impossible(r)
	},
	complaints: func(cfg config.Config) []string {
		if cfg.Filter.Empty() {
			return nil
		}
		r, err := namesOf(cfg)
		if err != nil {
			return nil
		}
		running, err := r.Servers()
		if err != nil {
			return nil // without the privilege to look, nothing is reported
		}
		return cfg.Filter.Complaints(r, running)
	},
}

func namesOf(cfg config.Config) (*service.Resolver, error) {
	r, err := service.New(service.Options{Rules: cfg.Services})
	if err != nil {
		return nil, fmt.Errorf("name services: %w", err)
	}
	return r, nil
}

// begin is the first step of all commands that measure. It checks the
// privileges and refuses a filter that cannot be meant. It asks no process for
// its command line unless it refuses: dropping privileges would have to wait
// for a thread that waits for the answer.
func (a *app) begin(cfg config.Config) error {
	a.warnOfVariables()
	if err := a.prepare(); err != nil {
		return err
	}
	return a.filter.impossible(cfg)
}

// notices are warnings about settings that are probably not intended.
type notices struct {
	texts atomic.Pointer[[]string]
}

// look finds the notices after the privileges were dropped, and passes each to
// tell. It runs in a goroutine of its own, because it asks processes that may
// not answer.
func (n *notices) look(check filterCheck, cfg config.Config, tell func(text string)) {
	go func() {
		texts := check.complaints(cfg)
		n.texts.Store(&texts)
		for _, text := range texts {
			tell(text)
		}
	}()
}

// all returns the notices that were found so far.
func (n *notices) all() []string {
	if texts := n.texts.Load(); texts != nil {
		return *texts
	}
	return nil
}

func (a *app) warn(what string) { warnTo(a.err, what) }

func warnTo(w io.Writer, what string) { fmt.Fprintf(w, "lapwing: warning: %s\n", text.Show(what)) }

// ignoredVariables reports the LAPWING_ variables that set nothing.
func ignoredVariables(environ []string) (texts []string) {
	for _, name := range config.IgnoredVariables(environ) {
		text := "environment variable " + name + " sets no key of the configuration"
		if near := config.NearVariable(name); near != "" {
			text += ": did you mean " + near + "?"
		}
		texts = append(texts, text)
	}
	return texts
}

func (a *app) warnOfVariables() {
	for _, text := range ignoredVariables(a.environ) {
		a.warn(text)
	}
}

// nowhere reports that a configuration exports nothing, and what to set.
func nowhere(cfg config.Config, file string) string {
	if cfg.Export.OTLP.Enabled() || cfg.Export.Prometheus.Enabled() {
		return ""
	}
	return "nothing to export to: set export.otlp.endpoint or export.prometheus.listen in " +
		file + ", or use --otlp-endpoint or --prometheus-listen"
}

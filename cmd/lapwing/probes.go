package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lapwing/agent/privilege"
	"lapwing/collectors/text"
	"lapwing/exporters/console"
	"lapwing/probes/marker"
	"lapwing/probes/socket/survey"
)

func (a *app) probesCommand() *cobra.Command {
	var asked *string
	cmd := &cobra.Command{
		Use:   "probes",
		Short: "Show which kernel hooks are available and used, and why the others are not",
		Long: "Show the probe plans and their kernel hooks: whether this kernel has each hook, whether it is\n" +
			"used, and if not, why. Then show the markers: the functions through which a server calls the\n" +
			"application, whether --markers=auto uses them, and which running servers have them. If no plan\n" +
			"works, the command says what to change and exits with status 1.",
		Example: "  sudo lapwing probes\n  sudo lapwing probes --format json | jq -r .chosen",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return a.probes(*asked) },
	}
	asked = format(cmd.Flags(), "output format: text or json (default text)")
	return cmd
}

// surveyView is a survey as JSON shows it.
type surveyView struct {
	Kernel   string        `json:"kernel"`
	Chosen   survey.Plan   `json:"chosen,omitempty"`
	Works    bool          `json:"works"`
	Problems []problemView `json:"problems"`
	Plans    []planView    `json:"plans"`
	Markers  []markerView  `json:"markers"`
	// Refused counts, by reason, processes and files that were not marked.
	Refused map[string]uint64 `json:"markers_refused,omitempty"`
	Sandbox sandboxView       `json:"sandbox"`
}

// sandboxView is what the kernel supports for locking the agent in.
type sandboxView struct {
	Filter   bool `json:"seccomp"`
	Counts   bool `json:"refused_calls_counted"`
	Landlock int  `json:"landlock_abi"`
}

type markerView struct {
	Server string   `json:"server"`
	Symbol string   `json:"symbol"`
	In     string   `json:"in"`
	Auto   bool     `json:"auto"`
	Found  []string `json:"found"`
}

type problemView struct {
	What string `json:"what"`
	Fix  string `json:"fix"`
}

type planView struct {
	Plan  survey.Plan `json:"plan"`
	Works bool        `json:"works"`
	Why   string      `json:"why,omitempty"`
	Hooks []hookView  `json:"hooks"`
}

type hookView struct {
	Name      string `json:"name"`
	Purpose   string `json:"purpose"`
	Optional  bool   `json:"optional"`
	Available bool   `json:"available"`
	Used      bool   `json:"used"`
	Why       string `json:"why,omitempty"`
	Without   string `json:"without,omitempty"`
}

func (a *app) probes(format string) error {
	// The other commands mount tracefs before they load probes, so the answer
	// must include it. Its problems are reported below.
	_ = a.prepare()
	view := newSurveyView(a.survey(), a.check())
	view.addMarkers(a.markers())
	view.Sandbox = sandboxView(a.sandbox())
	if err := view.print(a.out, format); err != nil {
		return fmt.Errorf("print the survey: %w", err)
	}
	if view.Works {
		return nil
	}
	return view.failure()
}

// newSurveyView lists the missing privileges of the process before the missing
// features of the kernel: without privileges the survey itself sees less.
func newSurveyView(s survey.Survey, denied privilege.Problems) surveyView {
	v := surveyView{Kernel: s.Kernel, Chosen: s.Chosen, Works: s.Chosen != "" && len(denied) == 0, Problems: []problemView{}, Plans: []planView{}, Markers: []markerView{}}
	known := ""
	for _, p := range denied {
		v.Problems = append(v.Problems, problemView(p))
		known += p.What
	}
	for _, p := range s.Problems {
		// Both check the kernel's type information.
		if !strings.Contains(p.What, privilege.BTF) || !strings.Contains(known, privilege.BTF) {
			v.Problems = append(v.Problems, problemView(p))
		}
	}
	for _, p := range s.Plans {
		plan := planView{Plan: p.Plan, Works: p.Works, Why: p.Why, Hooks: []hookView{}}
		for _, h := range p.Hooks {
			plan.Hooks = append(plan.Hooks, hookView{h.Name, h.Purpose, h.Optional, h.Available, h.Used, h.Why, h.Without})
		}
		v.Plans = append(v.Plans, plan)
	}
	return v
}

// findMarkers looks for the markers in the processes that this process may
// inspect.
func findMarkers() ([]marker.Found, map[string]uint64) {
	found, refused, _ := marker.Survey() // without the process table, none is found
	return found, refused
}

func (v *surveyView) addMarkers(found []marker.Found, refused map[string]uint64) {
	v.Refused = refused
	for _, f := range found {
		v.Markers = append(v.Markers, markerView{
			Server: f.Server, Symbol: f.Symbol, In: f.Program, Auto: marker.Auto.Uses(f.Marker),
			Found: append([]string{}, f.Files...),
		})
		if f.File != f.Program {
			v.Markers[len(v.Markers)-1].In += ": " + f.File
		}
	}
}

// failure returns why nothing works and what to change, on one line.
func (v surveyView) failure() error {
	if len(v.Problems) > 0 {
		return fmt.Errorf("no probe plan works here: %s: %s", v.Problems[0].What, v.Problems[0].Fix)
	}
	for _, p := range v.Plans {
		if p.Why != "" {
			return fmt.Errorf("no probe plan works here: plan %s: %s", p.Plan, p.Why)
		}
	}
	return errors.New("no probe plan works here: each plan needs hooks that this kernel does not have")
}

func (v surveyView) print(w io.Writer, format string) error {
	if format != console.FormatJSON {
		return v.printText(w)
	}
	encoder := json.NewEncoder(text.JSON(w))
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

func (v surveyView) printText(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "kernel %s\n", v.Kernel)
	for _, p := range v.Plans {
		fmt.Fprintf(w, "\nplan %s: %s\n", p.Plan, v.verdict(p))
		fmt.Fprintln(w, "  HOOK\tHAS IT\tUSED\tFEEDS\tNOTE")
		for _, h := range p.Hooks {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", h.Name, yesNo(h.Available), yesNo(h.Used), h.Purpose, h.note())
		}
	}
	v.printMarkers(w)
	v.Sandbox.print(w)
	if err := w.Flush(); err != nil {
		return err
	}
	for _, p := range v.Problems {
		if _, err := fmt.Fprintf(out, "\nproblem: %s\n  to do: %s\n", p.What, p.Fix); err != nil {
			return err
		}
	}
	return nil
}

// printMarkers prints the table of markers. A write error is returned by Flush
// of w.
func (v surveyView) printMarkers(w io.Writer) {
	fmt.Fprintln(w, "\nmarkers: functions through which a server calls the application")
	fmt.Fprintln(w, "  SERVER\tFUNCTION\tIN\tAUTO\tFOUND IN A RUNNING PROCESS")
	for _, m := range v.Markers {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", m.Server, m.Symbol, m.In, yesNo(m.Auto), text.Show(strings.Join(m.Found, " ")))
	}
	if len(v.Refused) > 0 {
		fmt.Fprintf(w, "  processes and files that were skipped: %s\n", causes(v.Refused))
	}
}

// print prints how the agent can be locked in. A write error is returned by
// Flush of w.
func (s sandboxView) print(w io.Writer) {
	filter := "this kernel cannot filter system calls (seccomp)"
	if s.Filter {
		filter = "system calls are filtered (seccomp), refused calls are not counted"
	}
	if s.Counts {
		filter = "system calls are filtered (seccomp), refused calls are counted"
	}
	landlock := "this kernel has no Landlock"
	if s.Landlock > 0 {
		landlock = fmt.Sprintf("Landlock (version %d here) is not used: it would hide other users' processes", s.Landlock)
	}
	fmt.Fprintf(w, "\nsandbox of a running agent: %s; %s\n", filter, landlock)
}

// verdict returns the result for a plan.
func (v surveyView) verdict(p planView) string {
	switch {
	case !p.Works:
		return "does not work: " + p.Why
	case p.Plan == v.Chosen:
		return "works, chosen"
	}
	return "works, not chosen"
}

// note returns why a hook is not used, and what is missing without it.
func (h hookView) note() string {
	var parts []string
	for _, part := range []string{h.Why, h.Without} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "; ")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

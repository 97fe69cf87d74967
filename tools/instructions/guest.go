package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// guestLimit is the time after which a guest is stopped.
const guestLimit = time.Hour

// guestRun holds the results of one guest.
type guestRun struct {
	kernel, release string
	figures         []figure
}

// measure boots a guest for each kernel.
func measure(ctx context.Context, o options) (report, error) {
	tree, err := os.MkdirTemp("", "lapwing-instructions-")
	if err != nil {
		return report{}, fmt.Errorf("make a folder for the guest's files: %w", err)
	}
	defer os.RemoveAll(tree)
	if err := plant(ctx, tree, o.lapwing); err != nil {
		return report{}, err
	}
	runs := make([]guestRun, len(o.kernels))
	errs := make([]error, len(o.kernels))
	free := make(chan struct{}, o.jobs)
	var guests sync.WaitGroup
	for i, kernel := range o.kernels {
		guests.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			runs[i], errs[i] = runGuest(ctx, o, tree, kernel)
		})
	}
	guests.Wait()
	return collect(ctx, o, runs), errors.Join(errs...)
}

func collect(ctx context.Context, o options, runs []guestRun) report {
	r := report{
		Agent:   firstLine(exec.CommandContext(ctx, o.lapwing, "version")),
		Nginx:   strings.TrimPrefix(firstLine(exec.CommandContext(ctx, "nginx", "-v")), "nginx version: "),
		Kernels: make(map[string]string),
	}
	for _, run := range runs {
		r.Kernels[run.kernel] = run.release
		r.Figures = append(r.Figures, run.figures...)
	}
	r.sort()
	return r
}

// firstLine returns the first line that a program prints, or an empty string.
func firstLine(cmd *exec.Cmd) string {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

func runGuest(ctx context.Context, o options, tree, kernel string) (guestRun, error) {
	run := guestRun{kernel: kernel}
	cmd := exec.CommandContext(ctx, "tools/kernels/run", o.guestArgs(tree, kernel)...)
	// The script ends its guest when it is terminated.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	notes := new(strings.Builder)
	cmd.Stderr = io.MultiWriter(os.Stderr, notes)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return run, fmt.Errorf("run the guest: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return run, fmt.Errorf("run the guest: %w", err)
	}
	readErr := run.read(out)
	if err := cmd.Wait(); err != nil {
		return run, errors.Join(readErr, fmt.Errorf("the guest with Linux %s: %w", kernel, err))
	}
	run.release = releaseIn(notes.String())
	return run, errors.Join(readErr, run.complete(o))
}

func (o options) guestArgs(tree, kernel string) []string {
	var plans, states, modes []string
	for _, plan := range o.plansOn(kernel) {
		plans = append(plans, string(plan))
	}
	for _, s := range o.states {
		states = append(states, string(s))
	}
	for _, m := range o.modes {
		modes = append(modes, string(m))
	}
	return []string{
		"--kernel", kernel, "--icount", "--timeout", strconv.Itoa(int(guestLimit.Seconds())), "--tree", tree, "--",
		"measure", strings.Join(plans, " "), strings.Join(states, " "), strings.Join(modes, " "),
		strconv.Itoa(o.warmUp), strconv.Itoa(o.requests),
	}
}

// read parses the output of the guest. A line that is not a result is an error
// message.
func (r *guestRun) read(output io.Reader) error {
	var errs []error
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "figure":
			f, err := parseFigure(r.kernel, rest)
			errs = append(errs, err)
			r.figures = append(r.figures, f)
		case "agent":
			errs = append(errs, checkAgent(rest))
		default:
			fmt.Fprintf(os.Stderr, "guest %s: %s\n", r.kernel, lines.Text())
		}
	}
	return errors.Join(append(errs, lines.Err())...)
}

var releasePattern = regexp.MustCompile(`(?m)^kernels: Linux ([^:]+): exit status`)

// releaseIn returns the kernel release in the output of tools/kernels/run.
func releaseIn(notes string) string {
	if m := releasePattern.FindStringSubmatch(notes); m != nil {
		return m[1]
	}
	return ""
}

// complete returns an error if a figure is missing.
func (r *guestRun) complete(o options) error {
	got := report{Figures: r.figures}
	for _, k := range o.keys(r.kernel) {
		if _, ok := got.get(k); !ok {
			return fmt.Errorf("the guest with Linux %s gave no figure for %s", r.kernel, k)
		}
	}
	return nil
}

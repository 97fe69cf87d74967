package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"lapwing/agent/config"
	"lapwing/agent/privilege"
	"lapwing/agent/privilege/sandbox"
	"lapwing/collectors/text"
	"lapwing/probes/marker"
	"lapwing/probes/socket/survey"
)

// The exit codes.
const (
	statusOK    = 0
	statusError = 1
	statusUsage = 2
)

// app holds the environment of the commands.
type app struct {
	in      io.Reader
	out     io.Writer
	err     io.Writer
	environ []string
	prepare func() error // checks the privileges of the process
	survey  func() survey.Survey
	markers func() ([]marker.Found, map[string]uint64)
	check   func() privilege.Problems
	sandbox func() sandbox.Survey
	run     runFunc
	filter  filterCheck
	silence time.Duration // after this time without output, trace explains why there may be nothing to show
	drain   time.Duration // how long the agent may take to end after it was asked to
}

func newApp() *app {
	return &app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, environ: os.Environ(),
		prepare: privilege.Prepare, survey: survey.TakeSurvey, markers: findMarkers, check: privilege.Check, sandbox: sandbox.TakeSurvey, run: runAgent, drain: drainLimit, silence: 10 * time.Second,
		filter: checkFilter,
	}
}

// usageError is a mistake on the command line.
type usageError struct {
	err  error
	help string // the command whose help says more
}

func (e usageError) Error() string {
	return fmt.Sprintf("%v (see '%s --help')", e.err, e.help)
}

func (e usageError) Unwrap() error { return e.err }

// execute runs a command line and returns the exit code. An error is one line
// on standard error.
func (a *app) execute(args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		return statusOK
	}
	a.complain(err)
	if usage := (usageError{}); errors.As(err, &usage) || wrongFlag(err) {
		return statusUsage
	}
	return statusError
}

// complain prints an error on one line, even if a library or a name in it
// contains line breaks. An error without a text has been reported already.
func (a *app) complain(err error) {
	if line := strings.Join(strings.Fields(err.Error()), " "); line != "" {
		fmt.Fprintf(a.err, "lapwing: %s\n", text.Show(line))
	}
}

// wrongFlag reports whether a configuration is wrong because of a flag.
func wrongFlag(err error) bool {
	var problems config.Problems
	return errors.As(err, &problems) && strings.HasPrefix(problems[0].Where, "--")
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "lapwing",
		Short: "Show where each web request spends its time: queue, parse, app, write-back",
		Long: "Lapwing observes unmodified web servers with eBPF. For every request it shows how long the\n" +
			"request waited in the queue, how long the server took to read it, how long the application\n" +
			"worked on it, and how long the server took to write the response.",
		Example:       "  sudo lapwing trace\n  sudo lapwing top --port 8080\n  sudo lapwing run --config /etc/lapwing/lapwing.yaml",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs, // RunE reports the error
		RunE:          chooses,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{err, cmd.CommandPath()}
	})
	root.AddCommand(a.traceCommand(), a.topCommand(), a.workersCommand(), a.runCommand(), a.probesCommand(), a.configCommand(), a.debugCommand(), a.versionCommand())
	return root
}

// chooses is the action of a command that only has subcommands.
func chooses(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	return unknownCommand(cmd, args[0])
}

func unknownCommand(cmd *cobra.Command, name string) error {
	err := fmt.Errorf("unknown command %q", name)
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		err = fmt.Errorf("%w: did you mean %s?", err, strings.Join(near, " or "))
	}
	return usageError{err, cmd.CommandPath()}
}

// noArgs refuses arguments in the same way as flags are refused.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", args[0]), cmd.CommandPath()}
	}
	return nil
}

// watchSignals returns the signals that end a command with output. Its terminal
// may go away, unless nohup protects it from that.
func watchSignals() []os.Signal {
	if signal.Ignored(syscall.SIGHUP) {
		return daemonSignals
	}
	return append([]os.Signal{syscall.SIGHUP}, daemonSignals...)
}

// daemonSignals are the signals that end the daemon.
var daemonSignals = []os.Signal{os.Interrupt, syscall.SIGTERM}

// untilSignal returns a context that ends at the first of the signals. The
// second signal ends the process at once, as it does without a handler. If the
// reader of the output goes away, that is a write error, not a signal.
func untilSignal(parent context.Context, signals ...os.Signal) (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	ctx, end := context.WithCancel(parent)
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, signals...)
	go func() {
		// Also waited for after a limit ended ctx: a signal while the agent
		// drains is the first one.
		<-asked
		signal.Stop(asked)
		end()
	}()
	return ctx, end
}

// drainLimit lets the command end within the promised 5 seconds. The agent
// gives its exporters less, so it is reached only if something hangs.
const drainLimit = 4800 * time.Millisecond

// drive runs the agent and makes sure that it ends once ctx has.
func (a *app) drive(ctx context.Context, cfg config.Config, s session) error {
	done := make(chan error, 1)
	go func() { done <- a.run(ctx, cfg, s) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	limit := time.NewTimer(a.drain)
	defer limit.Stop()
	select {
	case err := <-done:
		return err
	case <-limit.C:
		return fmt.Errorf("the agent did not stop within %v; requests that were not delivered by then are lost", a.drain)
	}
}

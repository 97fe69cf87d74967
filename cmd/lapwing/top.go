package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"lapwing/agent/config"
	"lapwing/collectors/request"
	"lapwing/exporters"
	"lapwing/exporters/console"
	"lapwing/exporters/health"
	"lapwing/probes/socket/survey"
)

type topFlags struct {
	watchFlags
	interval *time.Duration
}

func (a *app) topCommand() *cobra.Command {
	var f topFlags
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show a live table of services: rates, percentiles, and where the time goes",
		Long: "Show a live table of services: requests and errors per second, percentiles of the duration\n" +
			"and of each phase, and where the time goes. Press ? for the keys. Without a terminal, the\n" +
			"command prints a table every interval, and the totals at the end.",
		Example: "  sudo lapwing top\n" +
			"  sudo lapwing top --port 8080 --interval 5s\n" +
			"  sudo lapwing top --for 1m --format json | tail -1 | jq .services",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.top(&f) },
	}
	f.add(cmd.Flags(), "intervals")
	f.interval = interval(cmd.Flags())
	return cmd
}

func (a *app) top(f *topFlags) error {
	cfg, err := f.load(a.environ)
	if err != nil {
		return err
	}
	if err := a.begin(cfg); err != nil {
		return err
	}
	ctx, end := untilSignal(context.Background(), watchSignals()...)
	defer end()
	totals := console.NewAggregator(0)
	t := a.newTable(f, end)
	t.session.Exporters = []exporters.Exporter{totals}
	t.show = func(o console.TopOptions) error { return console.RunTop(ctx, totals, t.health, o) }
	return t.run(ctx, cfg)
}

// table shows what the agent sees.
type table struct {
	app    *app
	flags  *topFlags
	screen screen
	end    context.CancelFunc

	cfg     config.Config
	says    io.Writer // gets messages that would disturb the table
	notices notices

	session session                        // further requests to the agent
	show    func(console.TopOptions) error // shows the table until it is over
	health  health.Func                    // set before started is closed
	started chan struct{}                  // closed once the table is shown
	drained chan struct{}                  // closed when all requests were exported
	shown   chan error                     // gets the result of show
}

func (a *app) newTable(f *topFlags, end context.CancelFunc) *table {
	return &table{app: a, flags: f, screen: a.screen(f.noColor), end: end,
		started: make(chan struct{}), drained: make(chan struct{}), shown: make(chan error, 1)}
}

func (t *table) run(ctx context.Context, cfg config.Config) error {
	log := new(lateLog)
	t.cfg, t.says = cfg, t.app.err
	if t.interactive() {
		t.says = log
	}
	t.session.Clock = request.NewClock()
	t.session.Log = logger(t.says, t.flags.quiet(cfg.Log, t.app.environ))
	t.session.Attached = t.attached
	err := t.app.drive(ctx, cfg, t.session)
	t.end()
	close(t.drained)
	select {
	case <-t.started:
		err = errors.Join(err, <-t.shown)
		t.app.summarize(t.health())
	default: // the probes were never attached
	}
	log.replay(t.app.err)
	return err
}

// attached starts show. An interactive table uses the terminal from here on.
func (t *table) attached(plan survey.Plan, account health.Func) {
	t.app.announce(plan)
	t.notices.look(t.app.filter, t.cfg, func(text string) { warnTo(t.says, text) })
	t.health = account
	defer close(t.started)
	startTimer(*t.flags.limit, t.end)
	startTimer(t.afterIntervals(), t.end)
	go func() {
		err := t.show(t.options())
		t.end() // the user quit, or the reader of the output went away
		t.shown <- err
	}()
}

func (t *table) options() console.TopOptions {
	return console.TopOptions{
		Out: t.app.out, In: t.app.in,
		Format:      *t.flags.format,
		Interval:    *t.flags.interval,
		Color:       t.screen.color,
		Width:       t.screen.width,
		Interactive: t.interactive(),
		Drained:     t.drained,
		Notices:     t.notices.all,
	}
}

// afterIntervals returns when the requested number of tables has been shown:
// half an interval after the last one, so that the command does not end before
// it. 0 means never.
func (t *table) afterIntervals() time.Duration {
	interval := cmp.Or(*t.flags.interval, console.DefaultInterval)
	most := uint64(math.MaxInt64/interval) - 1
	if n := *t.flags.count; n > 0 && n <= most {
		return time.Duration(n)*interval + min(interval/2, time.Second)
	}
	return 0
}

func (t *table) interactive() bool { return t.screen.terminal && !t.flags.json() }

// lateLogLimit is the size of the log that is kept while the table uses the
// terminal, in bytes.
const lateLogLimit = 64 << 10

// lateLog keeps log lines until the terminal is free.
type lateLog struct {
	mu   sync.Mutex
	kept bytes.Buffer
	lost int
}

func (l *lateLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept.Len()+len(line) > lateLogLimit {
		l.lost++
		return len(line), nil
	}
	return l.kept.Write(line)
}

// replay writes the kept lines.
func (l *lateLog) replay(w io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.kept.WriteTo(w)
	if l.lost > 0 {
		logger(w, config.Log{}).Warn("log lines were left out while the table was shown", "lines", l.lost)
	}
}

package console

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"lapwing/exporters/health"
)

// DefaultInterval is the interval between two tables of RunTop if none is set.
const DefaultInterval = time.Second

// TopOptions configure how RunTop shows an Aggregator.
type TopOptions struct {
	Out      io.Writer
	In       io.Reader     // the keys of the terminal; interactive only
	Format   string        // FormatText or FormatJSON; empty is FormatText
	Interval time.Duration // between two tables; 0 means DefaultInterval
	Color    bool          // text only. NO_COLOR in the environment wins.
	Width    int           // text only: cells of a line; 0 when unknown

	// Interactive shows a live table on a terminal, whose width is known. It
	// needs FormatText.
	Interactive bool

	// Notices returns the lines that the live table shows until there are
	// requests. Nil means no lines.
	Notices func() []string

	// Drained is closed once every request that the agent saw was exported.
	// After ctx ended, the final figures wait for it. Nil means no wait.
	Drained <-chan struct{}
}

// RunTop shows the figures of agg every interval until ctx ends, the user
// quits, or the reader of the output goes away. If it is not interactive, it
// ends with the totals since the start.
func RunTop(ctx context.Context, agg *Aggregator, account health.Func, opts TopOptions) error {
	if err := CheckFormat(opts.Format); err != nil {
		return err
	}
	opts = opts.withDefaults()
	if account == nil {
		account = func() health.Health { return health.Health{} }
	}
	if opts.Interactive {
		return runProgram(ctx, newModel(agg, account, opts), opts)
	}
	var out report = &textReport{w: opts.Out, width: opts.Width, color: opts.Color}
	if opts.Format == FormatJSON {
		out = &jsonReport{w: opts.Out}
	}
	err := runReports(ctx, agg, account, opts, out)
	if err != nil && !readerLeft(err) {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}

func (o TopOptions) withDefaults() TopOptions {
	if o.Interval <= 0 {
		o.Interval = DefaultInterval
	}
	if o.Width <= 0 {
		o.Width = unknownWidth
	}
	o.Width = max(o.Width, minTableWidth)
	if o.In == nil {
		o.In = os.Stdin
	}
	o.Color = o.Color && os.Getenv("NO_COLOR") == ""
	return o
}

// report writes the figures in one format, instead of painting them.
type report interface {
	interval(Table, health.Health) error
	final(Table, health.Health) error
}

func runReports(ctx context.Context, agg *Aggregator, account health.Func, opts TopOptions, out report) error {
	window := agg.NewWindow()
	ticker := time.NewTicker(opts.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			t := window.Next()
			t.active()
			if err := out.interval(t, account()); err != nil {
				return err
			}
		case <-ctx.Done():
			if opts.Drained != nil {
				<-opts.Drained
			}
			return out.final(agg.Totals(), account())
		}
	}
}

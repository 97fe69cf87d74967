package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// options are the flags.
type options struct {
	role     string
	seconds  time.Duration
	rate     int
	services int
	sets     int
	traces   int
	format   string
}

func main() {
	var o options
	flag.StringVar(&o.role, "role", "", "internal: peer, metrics or traces")
	flag.DurationVar(&o.seconds, "time", 30*time.Second, "how long each part is measured")
	flag.IntVar(&o.rate, "rate", 10_000, "requests/s of the metrics part")
	flag.IntVar(&o.services, "services", 20, "services of the metrics part")
	flag.IntVar(&o.sets, "sets", 500, "label sets of the metrics part")
	flag.IntVar(&o.traces, "traces", 2000, "traces/s of the traces part")
	flag.StringVar(&o.format, "format", "table", "table or json")
	flag.Parse()
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, "exportbench:", err)
		os.Exit(1)
	}
}

func (o options) run() error {
	switch o.role {
	case "peer":
		return runPeer()
	case "metrics":
		return o.printFigure(o.measureMetrics)
	case "traces http", "traces grpc":
		return o.printFigure(o.measureTraces)
	}
	var figures []figure
	for _, role := range []string{"metrics", "traces http", "traces grpc"} {
		f, err := o.inProcess(role)
		if err != nil {
			return fmt.Errorf("%s: %w", role, err)
		}
		figures = append(figures, f)
	}
	if o.format == "json" {
		return json.NewEncoder(os.Stdout).Encode(figures)
	}
	return writeTable(figures)
}

// figure is the cost of one part.
type figure struct {
	Part     string        `json:"part"`
	Seconds  float64       `json:"seconds"`
	Requests uint64        `json:"requests"` // requests that were passed in
	Dropped  uint64        `json:"dropped"`
	CPU      time.Duration `json:"cpu_ns"`           // of the exporting process
	Memory   uint64        `json:"rss_bytes"`        // peak resident memory
	Series   int           `json:"series,omitempty"` // lines of one scrape
	Bytes    int           `json:"scrape_bytes,omitempty"`
	Limit    float64       `json:"cpu_limit"` // part of one core
}

func (f figure) core() float64 { return f.CPU.Seconds() / f.Seconds }

func writeTable(figures []figure) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "part\trequests/s\tof one core\tper request\ttarget\tmemory\tscrape\tdropped")
	for _, f := range figures {
		met := "met"
		if f.core() > f.Limit || f.Memory > 96<<20 || f.Dropped > 0 {
			met = "missed"
		}
		scrape := "-"
		if f.Series > 0 {
			scrape = fmt.Sprintf("%d series, %.1f MiB", f.Series, float64(f.Bytes)/(1<<20))
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.1f %%\t%.1f µs\t≤ %.0f %%, 96 MiB: %s\t%.0f MiB\t%s\t%d\n", f.Part, float64(f.Requests)/f.Seconds,
			100*f.core(), float64(f.CPU.Microseconds())/float64(f.Requests), 100*f.Limit, met, float64(f.Memory)/(1<<20), scrape, f.Dropped)
	}
	return w.Flush()
}

func (o options) printFigure(measure func() (figure, error)) error {
	f, err := measure()
	if err != nil {
		return err
	}
	f.Part = strings.TrimSpace(o.role)
	return json.NewEncoder(os.Stdout).Encode(f)
}

package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"lapwing/exporters/metrics"
)

// plan describes the hosts.
type plan struct {
	hosts    int
	requests float64 // per second and host
	ratio    float64 // of the requests that become traces
	most     int     // the highest number of series per host
	host
}

func main() {
	var p plan
	flag.IntVar(&p.hosts, "hosts", 1000, "number of hosts")
	flag.Float64Var(&p.requests, "requests", 500, "requests per second of one host, counted once per server that they pass")
	flag.Float64Var(&p.ratio, "ratio", 0.01, "share of the requests that become traces")
	flag.IntVar(&p.services, "services", 5, "services of one host")
	flag.IntVar(&p.sets, "sets", 20, "sets of labels of one service: routes, methods, statuses that occur together")
	flag.IntVar(&p.workers, "workers", 16, "workers of one service, each a process")
	flag.IntVar(&p.most, "max-series", metrics.DefaultConfig().MaxSeries, "metrics.max_series of the agents")
	flag.Parse()
	if p.hosts < 1 || p.most < metrics.MinSeries || p.services < 1 || p.sets < 1 || p.workers < 1 || p.requests <= 0 || p.ratio < 0 || p.ratio > 1 {
		fmt.Fprintln(os.Stderr, "scaling: numbers must be positive, the ratio 0 to 1, and -max-series at least", metrics.MinSeries)
		os.Exit(2)
	}
	if err := report(os.Stdout, p); err != nil {
		fmt.Fprintln(os.Stderr, "scaling:", err)
		os.Exit(1)
	}
}

func report(w io.Writer, p plan) error {
	spans, plain, err := perTrace("")
	if err != nil {
		return err
	}
	_, zipped, err := perTrace("gzip")
	if err != nil {
		return err
	}
	each, err := perEach()
	if err != nil {
		return err
	}
	all, err := metricsOf(p.host, p.most)
	if err != nil {
		return err
	}
	free, err := metricsOf(p.host, metrics.MaxSeries)
	if err != nil {
		return err
	}
	const second = "%-34s %12.1f   %s\n"
	fmt.Fprintf(w, "measured\n")
	fmt.Fprintf(w, second, "  spans of a request", spans, "")
	fmt.Fprintf(w, second, "  bytes of a request's trace", plain, fmt.Sprintf("gzip %.1f", zipped))
	fmt.Fprintf(w, second, "  series of a set of labels", float64(each.set), "")
	fmt.Fprintf(w, second, "  series of a worker process", float64(each.worker), "")
	fmt.Fprintf(w, second, "  series of a service", float64(each.service), "its parts, its pool and one listener")
	fmt.Fprintf(w, second, "  series of the agent itself", float64(each.agent), "")
	note := fmt.Sprintf("%d services, %d sets and %d workers each", p.services, p.sets, p.workers)
	if free.series > all.series {
		note += fmt.Sprintf("; %d without the bound of %d", free.series, p.most)
	}
	fmt.Fprintf(w, second, "  series of a host", float64(all.series), note)
	fmt.Fprintf(w, second, "  bytes of a scrape", float64(all.text), "text, before compression")
	fmt.Fprintf(w, second, "  bytes of an OTLP upload", float64(all.push), fmt.Sprintf("gzip %d", all.pushGz))

	hosts := float64(p.hosts)
	traces := hosts * p.requests * p.ratio
	fmt.Fprintf(w, "%d hosts, %.0f requests/s each, ratio %g\n", p.hosts, p.requests, p.ratio)
	fmt.Fprintf(w, second, "  requests/s", hosts*p.requests, "")
	fmt.Fprintf(w, second, "  traces/s", traces, "")
	fmt.Fprintf(w, second, "  spans/s", traces*spans, "")
	fmt.Fprintf(w, second, "  MB/s of traces", traces*plain/1e6, fmt.Sprintf("gzip %.1f", traces*zipped/1e6))
	fmt.Fprintf(w, second, "  GB/day of traces", traces*plain*86400/1e9, fmt.Sprintf("gzip %.0f", traces*zipped*86400/1e9))
	fmt.Fprintf(w, second, "  million series", hosts*float64(all.series)/1e6, "")
	fmt.Fprintf(w, second, "  samples/s, scraped every 15 s", hosts*float64(all.series)/15, "")
	fmt.Fprintf(w, second, "  MB/s of OTLP uploads, every 60 s", hosts*float64(all.push)/60/1e6, fmt.Sprintf("gzip %.1f", hosts*float64(all.pushGz)/60/1e6))
	return nil
}

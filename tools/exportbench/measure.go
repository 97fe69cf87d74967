package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	"lapwing/collectors/request"
	"lapwing/exporters/metrics"
	"lapwing/exporters/otlp"
	"lapwing/exporters/prometheus"
)

const (
	warmUp        = 3 * time.Second // until every series exists
	metricsLimit  = 0.05            // part of one core
	tracesLimit   = 0.15
	scrapeEvery   = 15 * time.Second // the usual interval of Prometheus
	metricsListen = "127.0.0.1:19464"
)

// inProcess runs one part in a process of its own, so that its figures include
// nothing else.
func (o options) inProcess(role string) (figure, error) {
	cmd := exec.Command(os.Args[0], "-role", role, "-time", o.seconds.String(), "-rate", fmt.Sprint(o.rate),
		"-services", fmt.Sprint(o.services), "-sets", fmt.Sprint(o.sets), "-traces", fmt.Sprint(o.traces))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return figure{}, err
	}
	var f figure
	return f, json.Unmarshal(out, &f)
}

// measureMetrics counts requests for an OTLP push once a minute and for a
// scraper.
func (o options) measureMetrics() (f figure, err error) {
	peer, err := startPeer()
	if err != nil {
		return f, err
	}
	defer peer.stop()
	clock, log := request.NewClock(), slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	a := metrics.New(metrics.DefaultConfig())
	server, err := prometheus.Listen(prometheus.Config{Listen: metricsListen}, a.Read, clock, log)
	if err != nil {
		return f, err
	}
	defer func() { _ = server.Shutdown(context.Background()) }()
	c := otlp.DefaultConfig()
	c.Endpoint, c.Protocol, c.Metrics.Interval = peer.http, otlp.ProtocolHTTPProtobuf, min(time.Minute, o.seconds)
	push, err := otlp.NewMetrics(c, a.Read, clock, log)
	if err != nil {
		return f, err
	}
	defer func() { _ = push.Shutdown(context.Background()) }()

	l := newLoad(o.services, o.sets)
	l.run(a.Export, o.rate, warmUp)
	before := cpu()
	if err := peer.scrape(metricsListen, min(scrapeEvery, o.seconds/2)); err != nil {
		return f, err
	}
	f.Requests = l.run(a.Export, o.rate, o.seconds)
	f.CPU, f.Seconds, f.Limit = cpu()-before, o.seconds.Seconds(), metricsLimit
	if f.Memory, err = memory(); err != nil {
		return f, err
	}
	f.Series, f.Bytes, err = peer.scraped()
	return f, err
}

// measureTraces exports every request as a trace of five spans.
func (o options) measureTraces() (f figure, err error) {
	peer, err := startPeer()
	if err != nil {
		return f, err
	}
	defer peer.stop()
	c := otlp.DefaultConfig()
	c.Endpoint, c.Protocol = peer.http, otlp.ProtocolHTTPProtobuf
	if strings.HasSuffix(o.role, "grpc") {
		c.Endpoint, c.Protocol = peer.grpc, otlp.ProtocolGRPC
	}
	c.Sampling.MaxSpansPerSecond = 0
	e, err := otlp.New(c, request.NewClock(), slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return f, err
	}
	l := newLoad(o.services, o.sets)
	l.run(traced(e), o.traces, warmUp)
	before := cpu()
	f.Requests = l.run(traced(e), o.traces, o.seconds)
	f.CPU, f.Seconds, f.Limit = cpu()-before, o.seconds.Seconds(), tracesLimit
	if f.Memory, err = memory(); err != nil {
		return f, err
	}
	if err := e.Shutdown(context.Background()); err != nil {
		return f, err
	}
	for _, n := range e.Dropped() {
		f.Dropped += n
	}
	return f, nil
}

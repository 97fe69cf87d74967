package agent

import (
	"fmt"

	"lapwing/exporters/metrics"
	"lapwing/exporters/otlp"
	"lapwing/exporters/prometheus"
)

// openExporters starts the exporters that the configuration asks for.
func (a *Agent) openExporters() error {
	if err := a.openTraces(); err != nil {
		return err
	}
	if err := a.openMetrics(); err != nil {
		a.shutdown()
		return err
	}
	return nil
}

func (a *Agent) openTraces() error {
	if !a.OTLP || !a.cfg.Export.OTLP.Enabled() {
		return nil
	}
	e, err := otlp.New(a.cfg.Export.OTLP, a.clock, a.log, otlp.WithVersion(a.Version))
	if err != nil {
		return fmt.Errorf("export.otlp: %w", err)
	}
	a.AddTracer("otlp", e)
	return nil
}

// openMetrics counts requests if an exporter of metrics is configured.
func (a *Agent) openMetrics() error {
	push := a.OTLP && a.cfg.Export.OTLP.MetricsEnabled()
	serve := a.Prometheus && a.cfg.Export.Prometheus.Enabled()
	if !push && !serve {
		return nil
	}
	m := metrics.New(a.cfg.Metrics)
	m.AddSource(metrics.Health(a.Health))
	m.AddSource(metrics.Self())
	m.AddSource(metrics.WorkerPools(a.WatchPools().Snapshot))
	a.Add("metrics", m)
	a.metrics = m
	if serve {
		s, err := prometheus.Listen(a.cfg.Export.Prometheus, m.Read, a.clock, a.log)
		if err != nil {
			return fmt.Errorf("export.prometheus.%w", err)
		}
		a.closers = append(a.closers, s.Shutdown)
	}
	if push {
		p, err := otlp.NewMetrics(a.cfg.Export.OTLP, m.Read, a.clock, a.log, otlp.WithVersion(a.Version))
		if err != nil {
			return fmt.Errorf("export.otlp.metrics: %w", err)
		}
		a.pusher.Store(p)
		a.closers = append(a.closers, p.Shutdown)
	}
	return nil
}

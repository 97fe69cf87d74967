package jsonfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Config names the file. The file is created if it is missing, and appended to.
type Config struct {
	Path string `mapstructure:"path"`
}

// Validate reports a missing path.
func (c *Config) Validate() error {
	if c.Path == "" {
		return errors.New("path is empty: name the file to write to")
	}
	return nil
}

// NewFactory creates exporters of type "jsonfile" for traces and metrics.
func NewFactory() exporter.Factory {
	return exporter.NewFactory(
		component.MustNewType("jsonfile"),
		func() component.Config { return new(Config) },
		exporter.WithTraces(newTraces, component.StabilityLevelDevelopment),
		exporter.WithMetrics(newMetrics, component.StabilityLevelDevelopment),
	)
}

func newTraces(_ context.Context, _ exporter.Settings, cfg component.Config) (exporter.Traces, error) {
	return &traces{lines: lines{path: cfg.(*Config).Path}}, nil
}

func newMetrics(_ context.Context, _ exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
	return &metrics{lines: lines{path: cfg.(*Config).Path}}, nil
}

type traces struct {
	lines
	marshal ptrace.JSONMarshaler
}

func (t *traces) ConsumeTraces(_ context.Context, td ptrace.Traces) error {
	line, err := t.marshal.MarshalTraces(td)
	if err != nil {
		return fmt.Errorf("encoding traces: %w", err)
	}
	return t.append(line)
}

type metrics struct {
	lines
	marshal pmetric.JSONMarshaler
}

func (m *metrics) ConsumeMetrics(_ context.Context, md pmetric.Metrics) error {
	line, err := m.marshal.MarshalMetrics(md)
	if err != nil {
		return fmt.Errorf("encoding metrics: %w", err)
	}
	return m.append(line)
}

// lines appends lines to one file.
type lines struct {
	path string
	mu   sync.Mutex
	file *os.File
}

func (l *lines) Start(context.Context, component.Host) error {
	file, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening the output: %w", err)
	}
	l.file = file
	return nil
}

func (l *lines) Shutdown(context.Context) error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

func (*lines) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (l *lines) append(line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}

package collectortest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Collector is a running Collector.
type Collector struct {
	GRPC string // endpoint URL for OTLP over gRPC
	HTTP string // endpoint URL for OTLP over HTTP

	traces  string // paths of files with JSON lines
	metrics string
	process *os.Process
	log     *output
	exited  chan struct{} // closed when the process ended
}

const config = `receivers:
  otlp:
    protocols:
      grpc:
        endpoint: %[1]s
      http:
        endpoint: %[2]s
exporters:
  jsonfile/traces:
    path: %[3]s
  jsonfile/metrics:
    path: %[4]s
service:
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [jsonfile/traces]
    metrics:
      receivers: [otlp]
      exporters: [jsonfile/metrics]
`

// startTimeout limits one start, which normally takes a fraction of a second.
const startTimeout = 30 * time.Second

// Start runs a Collector until the test ends.
func Start(t testing.TB) *Collector {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	// Another process can take a free port before the Collector opens it.
	for range 3 {
		c := new(Collector)
		if err = c.start(path, t.TempDir()); err == nil {
			t.Cleanup(c.Stop)
			return c
		}
	}
	require.NoError(t, err)
	return nil
}

func (c *Collector) start(binary, dir string) error {
	grpc, err := freeAddress()
	if err != nil {
		return err
	}
	http, err := freeAddress()
	if err != nil {
		return err
	}
	c.GRPC, c.HTTP = "http://"+grpc, "http://"+http
	c.traces, c.metrics = filepath.Join(dir, "traces.json"), filepath.Join(dir, "metrics.json")
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, grpc, http, c.traces, c.metrics), 0o600); err != nil {
		return fmt.Errorf("writing the Collector's configuration: %w", err)
	}
	if err := c.run(exec.Command(binary, "--config", file)); err != nil {
		return err
	}
	return c.waitReady(grpc, http)
}

// run starts the process so that the kernel ends it if the test is killed. That
// depends on the starting thread, which therefore waits for the process.
func (c *Collector) run(cmd *exec.Cmd) error {
	c.log = new(output)
	cmd.Stdout, cmd.Stderr = c.log, c.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.exited = make(chan struct{})
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // Stop ends it with a signal
		}
		close(c.exited)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting the Collector: %w", err)
	}
	c.process = cmd.Process
	return nil
}

func (c *Collector) waitReady(addresses ...string) error {
	deadline := time.Now().Add(startTimeout)
	for _, address := range addresses {
		for !accepts(address) {
			select {
			case <-c.exited:
				return fmt.Errorf("the Collector ended at its start:\n%s", c.log)
			case <-time.After(10 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				c.Stop()
				return fmt.Errorf("the Collector did not listen on %s within %v:\n%s", address, startTimeout, c.log)
			}
		}
	}
	return nil
}

func accepts(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// Stop ends the Collector. What arrived can still be read.
func (c *Collector) Stop() {
	if err := c.process.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return
	}
	select {
	case <-c.exited:
	case <-time.After(10 * time.Second):
		_ = c.process.Kill()
		<-c.exited
	}
}

// Complaints returns the warnings and errors in the log of the Collector.
func (c *Collector) Complaints() []string {
	var lines []string
	for line := range strings.Lines(c.log.String()) {
		for _, level := range []string{"warn", "error", "dpanic", "panic", "fatal"} {
			if strings.Contains(line, `"level":"`+level+`"`) {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return lines
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// output collects what the process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Validate checks a configuration file with the Collector, without running it.
func Validate(t testing.TB, file string, env ...string) error {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	cmd := exec.Command(path, "validate", "--config", file)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%.2000s", file, err, out)
	}
	return nil
}

// StartFile runs a Collector with a configuration of its own until the test
// ends. address is the address that this configuration listens on.
func StartFile(t testing.TB, file, address string, env ...string) *Collector {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	c := &Collector{GRPC: "http://" + address}
	cmd := exec.Command(path, "--config", file)
	cmd.Env = append(os.Environ(), env...)
	require.NoError(t, c.run(cmd))
	t.Cleanup(c.Stop)
	require.NoError(t, c.waitReady(address))
	return c
}

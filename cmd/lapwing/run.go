package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"lapwing/agent/config"
	"lapwing/collectors/request"
	"lapwing/exporters/health"
	"lapwing/probes/socket/survey"
)

// defaultConfigFile is the file that the daemon reads if none is given.
const defaultConfigFile = "/etc/lapwing/lapwing.yaml"

// runManual is the manual for operators, complete and in one place.
const runManual = `Run as a daemon that exports traces and metrics to an OpenTelemetry receiver, and
metrics to Prometheus. The daemon runs in the foreground and logs to standard error. It
does not change or restart any server.

CONFIGURATION
  Lapwing looks for each value in this order: flag, environment variable, configuration
  file, default. The file is optional if a flag sets an export destination.
    lapwing config example   prints a file with every key, its default and its meaning
    lapwing config check     reports the problems of a file without starting the agent

EXPORT DESTINATIONS (at least one is required)
  export.otlp.endpoint       traces and metrics, for example http://127.0.0.1:4318
  export.prometheus.listen   metrics at /metrics, for example 127.0.0.1:9464

FILES
  /etc/lapwing/lapwing.yaml  the configuration
  /etc/lapwing/environment   variables of the systemd unit; put the keys of receivers here

ENVIRONMENT
  LAPWING_*                  sets a key: LAPWING_PROBES_HEAD_BYTES=128 is probes.head_bytes
  OTEL_EXPORTER_OTLP_*       as defined by OpenTelemetry, unless a key sets the same value
  OTEL_RESOURCE_ATTRIBUTES   added to all exported data

SIGNALS
  SIGTERM, SIGINT            deliver what is queued and exit within 5 seconds; a second signal
                             ends the process immediately
  SIGHUP                     reload the configuration. services, routes, export.otlp.sampling,
                             log.level and health.log_interval take effect immediately, other
                             keys at the next start; the log lists them. An invalid
                             configuration changes nothing.

PRIVILEGES
  Root, or the capabilities CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH.
  The capabilities for loading are dropped once the probes are attached.
    lapwing probes           shows what this kernel supports, and what to change if no plan works

EXIT STATUS
  0  ended by a signal
  1  the agent could not start or continue; the last line on standard error says why
  2  the command line is invalid`

func (a *app) runCommand() *cobra.Command {
	var f agentFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run as a daemon that exports what it sees",
		Long:  runManual,
		Example: "  sudo lapwing run --config /etc/lapwing/lapwing.yaml\n" +
			"  sudo lapwing run --config lapwing.yaml --otlp-endpoint http://127.0.0.1:4318\n" +
			"  sudo lapwing run --prometheus-listen 127.0.0.1:9464    # no file needed\n" +
			"  lapwing config example    # print an example file",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.daemon(&f) },
	}
	cmd.Flags().StringVar(&f.file, "config", defaultConfigFile, "read the configuration from this YAML `file`")
	f.addProbes(cmd.Flags())
	f.addOTLP(cmd.Flags())
	f.addPrometheus(cmd.Flags())
	return cmd
}

func (a *app) daemon(f *agentFlags) error {
	f.optionalFile()
	cfg, err := f.load(a.environ)
	if errors.Is(err, fs.ErrNotExist) && !f.set.Changed("config") {
		return fmt.Errorf("%w; without a file, use --prometheus-listen 127.0.0.1:9464 or --otlp-endpoint http://127.0.0.1:4318", err)
	}
	if err != nil {
		return err
	}
	if text := nowhere(cfg, f.file); text != "" {
		return errors.New(text)
	}
	if err := a.prepare(); err != nil {
		return err
	}
	ctx, end := untilSignal(context.Background(), daemonSignals...)
	defer end()
	log, level := adjustableLogger(a.err, cfg.Log)
	reload := a.newReloader(f, log, level)
	go reload.run(ctx)
	for _, name := range config.IgnoredVariables(a.environ) {
		log.Warn("environment variable sets no key of the configuration", "variable", name, "near", config.NearVariable(name))
	}
	context.AfterFunc(ctx, func() { notify(log, daemon.SdNotifyStopping) })
	return a.drive(ctx, cfg, session{
		OTLP:       true,
		Prometheus: true,
		Reloads:    reload.reloads,
		Reloaded:   reload.reloaded,
		Watch:      watchdog(log),
		Clock:      request.NewClock(),
		Log:        log,
		Attached: func(plan survey.Plan, _ health.Func) {
			log.Info("probes attached", "plan", plan, "version", version)
			for _, warning := range cfg.Warnings(f.file) {
				log.Warn(warning)
			}
			notify(log, daemon.SdNotifyReady)
		},
	})
}

// optionalFile allows the default file to be missing if the flags set an export
// destination.
func (f *agentFlags) optionalFile() {
	if f.set.Changed("config") || (f.endpoint == "" && f.listen == "") {
		return
	}
	if _, err := os.Stat(f.file); errors.Is(err, fs.ErrNotExist) {
		f.file = ""
	}
}

// notify reports the state of the daemon to systemd, if it started the process.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("cannot tell systemd the state of the service", "state", state, "error", err)
	}
}

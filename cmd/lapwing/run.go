package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"lapwing/agent/config"
	"lapwing/collectors/request"
	"lapwing/exporters"
	"lapwing/probes/socket"
)

// defaultConfigFile is what the daemon reads when it is told nothing.
const defaultConfigFile = "/etc/lapwing/lapwing.yaml"

func (a *app) runCommand() *cobra.Command {
	var f agentFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run as a daemon that exports what it sees",
		Long: "Run as a daemon that exports what it sees to the destinations of its configuration.\n" +
			"SIGTERM delivers what is queued and ends within 5 seconds.",
		Example: "  sudo lapwing run --config /etc/lapwing/lapwing.yaml\n" +
			"  sudo lapwing run --config lapwing.yaml --otlp-endpoint http://127.0.0.1:4318\n" +
			"  sudo lapwing run --prometheus-listen 127.0.0.1:9464    # needs no file\n" +
			"  lapwing config example    # a file to start from",
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
	if err != nil {
		return err
	}
	if !cfg.Export.OTLP.Enabled() && !cfg.Export.Prometheus.Enabled() {
		return errors.New("there is nowhere to export to: set export.otlp.endpoint or export.prometheus.listen in " +
			f.file + ", or give --otlp-endpoint or --prometheus-listen")
	}
	if err := a.prepare(); err != nil {
		return err
	}
	ctx, end := untilSignal(context.Background())
	defer end()
	log := logger(a.err, cfg.Log)
	for _, name := range config.IgnoredVariables(a.environ) {
		log.Warn("environment variable sets no key of the configuration", "variable", name)
	}
	context.AfterFunc(ctx, func() { notify(log, daemon.SdNotifyStopping) })
	return a.drive(ctx, cfg, session{
		OTLP:       true,
		Prometheus: true,
		Clock:      request.NewClock(),
		Log:        log,
		Attached: func(plan socket.Plan, _ exporters.HealthFunc) {
			log.Info("probes attached", "plan", plan, "version", version)
			notify(log, daemon.SdNotifyReady)
		},
	})
}

// optionalFile does without the default file if there is none and the flags
// say where to export to.
func (f *agentFlags) optionalFile() {
	if f.set.Changed("config") || (f.endpoint == "" && f.listen == "") {
		return
	}
	if _, err := os.Stat(f.file); errors.Is(err, fs.ErrNotExist) {
		f.file = ""
	}
}

// notify tells systemd, if it started the process, how far it is.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("cannot tell systemd the state of the service", "state", state, "error", err)
	}
}

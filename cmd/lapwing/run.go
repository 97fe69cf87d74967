package main

import (
	"context"
	"errors"
	"log/slog"

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
			"  lapwing config example    # a file to start from",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.daemon(&f) },
	}
	cmd.Flags().StringVar(&f.file, "config", defaultConfigFile, "read the configuration from this YAML `file`")
	f.addProbes(cmd.Flags())
	f.addOTLP(cmd.Flags())
	return cmd
}

func (a *app) daemon(f *agentFlags) error {
	cfg, err := f.load(a.environ)
	if err != nil {
		return err
	}
	if !cfg.Export.OTLP.Enabled() {
		return errors.New("there is nowhere to export to: set export.otlp.endpoint in " + f.file + ", or give --otlp-endpoint")
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
		OTLP:  true,
		Clock: request.NewClock(),
		Log:   log,
		Attached: func(plan socket.Plan, _ exporters.HealthFunc) {
			log.Info("probes attached", "plan", plan, "version", version)
			notify(log, daemon.SdNotifyReady)
		},
	})
}

// notify tells systemd, if it started the process, how far it is.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("cannot tell systemd the state of the service", "state", state, "error", err)
	}
}

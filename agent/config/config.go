package config

import (
	"time"

	"lapwing/agent/privilege"
	"lapwing/agent/privilege/sandbox"
	"lapwing/collectors/route"
	"lapwing/collectors/service"
	"lapwing/exporters/metrics"
	"lapwing/exporters/otlp"
	"lapwing/exporters/prometheus"
	"lapwing/probes/marker"
	"lapwing/probes/socket"
	"lapwing/probes/socket/survey"
)

// Config is the complete configuration.
type Config struct {
	Probes         Probes         `koanf:"probes" doc:"The eBPF probes."`
	Filter         service.Filter `koanf:"filter" doc:"Which requests are reported. A request matches a list if it matches any entry, and is reported if it matches every list that is not empty."`
	Services       []service.Rule `koanf:"services" doc:"Names for services. The first rule whose conditions all match replaces the detected name."`
	Routes         []route.Rule   `koanf:"routes" doc:"Path templates. A route names spans and is an attribute of metrics. A path that matches no template has no route: a raw path is never used as a name."`
	Metrics        metrics.Config `koanf:"metrics" doc:"Request metrics, for every exporter."`
	Export         Export         `koanf:"export" doc:"Where traces and metrics are exported to."`
	Log            Log            `koanf:"log" doc:"The agent's own log, on standard error."`
	Health         Health         `koanf:"health" doc:"The agent's own health."`
	DropPrivileges bool           `koanf:"drop_privileges" doc:"Drop every capability that is no longer needed once the probes are attached."`
	User           string         `koanf:"user" doc:"The user that the agent switches to once the probes are attached, if it was started as root: a user name or ID. The agent stays root if the value is empty, or if it is the default and the host has no user lapwing." example:"nobody"`
	Sandbox        sandbox.Mode   `koanf:"sandbox" doc:"What happens to system calls that the agent does not need once the probes are attached: refuse rejects and counts them, kill ends the agent, off allows them. Requires drop_privileges." example:"refuse"`
}

// Probes configure the kernel side.
type Probes struct {
	Plan      survey.Plan `koanf:"plan" doc:"The probe plan, which is the set of kernel hooks that take the stamps: auto uses the first plan that the kernel supports, socket and syscall force one." example:"auto"`
	HeadBytes int         `koanf:"head_bytes" doc:"The number of bytes to capture of each request and response head, 64 to 1024." example:"256"`
	Markers   marker.Mode `koanf:"markers" doc:"Which markers (functions through which a server calls the application) get a probe: auto uses those that are worth their cost, on uses all, off uses none." example:"auto"`
	RingBytes Bytes       `koanf:"ring_bytes" doc:"Size of the buffer between the kernel and the agent: a power of two from 64KiB to 1GiB." example:"8MiB"`
	Ports     []uint16    `koanf:"ports" doc:"Local TCP ports of the connections to measure; an empty list measures all servers. Other connections cost almost nothing and are not counted." example:"[80, 8080]"`
}

// Export configures the destinations.
type Export struct {
	OTLP       otlp.Config       `koanf:"otlp" doc:"Export traces and metrics with OTLP."`
	Prometheus prometheus.Config `koanf:"prometheus" doc:"Serve metrics for Prometheus to scrape."`
}

// Log configures the agent's own log.
type Log struct {
	Level  string `koanf:"level" doc:"The lowest level that is logged: debug, info, warn or error." example:"info"`
	Format string `koanf:"format" doc:"The format of a line: text or json." example:"json"`
}

// Health configures the agent's account of itself.
type Health struct {
	LogInterval time.Duration `koanf:"log_interval" doc:"How often the health counters are logged; 0 logs them only when the agent stops." example:"5m"`
}

// The limits of Probes.
const (
	MinHeadBytes = socket.MinHeadBytes
	MaxHeadBytes = socket.MaxHeadBytes
	MinRingBytes = 64 << 10
	MaxRingBytes = 1 << 30
)

// Default returns the configuration of an empty file.
func Default() Config {
	return Config{
		Probes:         Probes{Plan: survey.PlanAuto, Markers: marker.Auto, HeadBytes: 256, RingBytes: 8 << 20},
		Metrics:        metrics.DefaultConfig(),
		Export:         Export{OTLP: otlp.DefaultConfig()},
		Log:            Log{Level: "info", Format: "text"},
		Health:         Health{LogInterval: 5 * time.Minute},
		DropPrivileges: true,
		User:           privilege.OwnUser,
		Sandbox:        sandbox.Refuse,
	}
}

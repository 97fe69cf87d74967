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

// Config is everything that can be set.
type Config struct {
	Probes         Probes         `koanf:"probes" doc:"The kernel side."`
	Filter         service.Filter `koanf:"filter" doc:"Which requests are reported. Within a list any entry will do; all lists that are not empty must agree."`
	Services       []service.Rule `koanf:"services" doc:"Names for services. The first rule whose conditions all hold wins over the name that was found."`
	Routes         []route.Rule   `koanf:"routes" doc:"Templates of paths, which name spans and split metrics. A path that matches none has no route: raw paths are never names."`
	Metrics        metrics.Config `koanf:"metrics" doc:"The metrics of requests, wherever they are exported to."`
	Export         Export         `koanf:"export" doc:"Where requests go."`
	Log            Log            `koanf:"log" doc:"The agent's own log, on standard error."`
	Health         Health         `koanf:"health" doc:"The agent's account of itself."`
	DropPrivileges bool           `koanf:"drop_privileges" doc:"Give up every capability that is not needed any more once the probes are attached."`
	User           string         `koanf:"user" doc:"Whom root becomes once the probes are attached: the name or number of a user. Where nobody is called lapwing, the default leaves root as it is, and so does an empty name." example:"nobody"`
	Sandbox        sandbox.Mode   `koanf:"sandbox" doc:"What becomes of system calls that measuring does not take, once the probes are attached: refuse counts them, kill ends the agent, off allows them. Needs drop_privileges." example:"refuse"`
}

// Probes configure the kernel side.
type Probes struct {
	Plan      survey.Plan `koanf:"plan" doc:"Which kernel hooks feed the stamps: auto takes the first plan that the kernel can carry, socket and syscall force one." example:"auto"`
	HeadBytes int         `koanf:"head_bytes" doc:"How many bytes of each request and response head are kept, 64 to 1024." example:"256"`
	Markers   marker.Mode `koanf:"markers" doc:"Which functions that mark the call into an application get a probe: auto takes those that are worth their cost, on all that are known, off none." example:"auto"`
	RingBytes Bytes       `koanf:"ring_bytes" doc:"Size of the buffer between kernel and agent: a power of two, 64KiB to 1GiB." example:"8MiB"`
	Ports     []uint16    `koanf:"ports" doc:"TCP ports whose connections the probes follow; empty follows all servers. Connections left out here cost next to nothing, and are not counted at all." example:"[80, 8080]"`
}

// Export configures the destinations.
type Export struct {
	OTLP       otlp.Config       `koanf:"otlp" doc:"OpenTelemetry: traces of requests, and metrics."`
	Prometheus prometheus.Config `koanf:"prometheus" doc:"Metrics for Prometheus to scrape."`
}

// Log configures the agent's own log.
type Log struct {
	Level  string `koanf:"level" doc:"The least severe level that is logged: debug, info, warn or error." example:"info"`
	Format string `koanf:"format" doc:"How a line looks: text or json." example:"json"`
}

// Health configures the agent's account of itself.
type Health struct {
	LogInterval time.Duration `koanf:"log_interval" doc:"How often the counters are logged; 0 logs them at the end only." example:"5m"`
}

// The limits of Probes.
const (
	MinHeadBytes = socket.MinHeadBytes
	MaxHeadBytes = socket.MaxHeadBytes
	MinRingBytes = 64 << 10
	MaxRingBytes = 1 << 30
)

// Default is the configuration of an empty file.
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

package config

// note describes a key whose structure belongs to another package.
type note struct{ doc, example string }

// notes holds what the tags of the OTLP exporter's configuration do not: its
// package does not know of this one. A test demands a note for each key and a
// key for each note.
var notes = map[string]note{
	"export.otlp.endpoint":                      {"Base URL of the receiver. Empty takes OTEL_EXPORTER_OTLP_ENDPOINT; with neither, nothing is exported.", "http://127.0.0.1:4318"},
	"export.otlp.protocol":                      {"grpc, http/protobuf or http/json. Empty means grpc on port 4317 and http/protobuf elsewhere, unless OTEL_EXPORTER_OTLP_PROTOCOL says otherwise.", "grpc"},
	"export.otlp.headers":                       {"Headers that go with every upload; they often carry the receiver's key.", "{authorization: Bearer 1234}"},
	"export.otlp.compression":                   {"gzip or none. Empty leaves it to OTEL_EXPORTER_OTLP_COMPRESSION.", "gzip"},
	"export.otlp.tls":                           {"Refines https endpoints.", ""},
	"export.otlp.tls.ca":                        {"PEM file of the authorities to trust; empty trusts the system's.", "/etc/lapwing/ca.pem"},
	"export.otlp.tls.cert":                      {"PEM file of the client certificate; needs key.", "/etc/lapwing/client.pem"},
	"export.otlp.tls.key":                       {"PEM file of the client certificate's key.", "/etc/lapwing/client-key.pem"},
	"export.otlp.tls.server_name":               {"Name to expect in the receiver's certificate, if not that of the endpoint.", "collector.internal"},
	"export.otlp.tls.insecure_skip_verify":      {"Accept any certificate. For tests only: the receiver is not authenticated.", ""},
	"export.otlp.timeout":                       {"Limit for one attempt to upload a batch. 0 leaves it to OTEL_EXPORTER_OTLP_TIMEOUT, and without it to 10s.", "5s"},
	"export.otlp.queue_size":                    {"How many requests may wait for upload; what comes on top is dropped and counted. They come ten times a second.", "4096"},
	"export.otlp.batch_size":                    {"How many requests one upload carries at most, each with up to five spans.", "256"},
	"export.otlp.batch_delay":                   {"How long a request waits at most for its batch to fill.", "1s"},
	"export.otlp.retry":                         {"What happens after a failure that may pass.", ""},
	"export.otlp.retry.initial_interval":        {"First pause; each further one is longer.", "1s"},
	"export.otlp.retry.max_interval":            {"Longest pause.", "15s"},
	"export.otlp.retry.max_elapsed":             {"When a batch is given up, dropped and counted.", "1m"},
	"export.otlp.url_query":                     {"Add the query string to the spans. Queries often hold secrets.", ""},
	"export.otlp.sampling":                      {"Which requests become traces. Counts and tables see every request, whatever is set here.", ""},
	"export.otlp.sampling.ratio":                {"Share of requests to keep, 0 to 1.", "0.05"},
	"export.otlp.sampling.follow_parent":        {"Let the sampled flag of an incoming traceparent decide in place of the ratio. Switch it off where clients are not trusted.", ""},
	"export.otlp.sampling.keep_failed":          {"Keep every failed request.", ""},
	"export.otlp.sampling.slow":                 {"Keep every request that took at least this long; 0 is off.", "500ms"},
	"export.otlp.sampling.slowest":              {"Keep this share of each service's requests: those that are slow next to the service's own recent ones. 0.01 keeps what is above their 99th percentile; 0 is off.", "0.01"},
	"export.otlp.sampling.max_spans_per_second": {"Bound for all that is kept; a request has up to five spans. Beyond it failed, slow and other requests are thinned out, and their spans say by how much. 0 is no bound.", "10000"},
	"export.otlp.sampling.services":             {"What differs for single services.", ""},
	"export.otlp.sampling.services[].service": {
		"Name of the service.", "shop",
	},
	"export.otlp.sampling.services[].ratio": {"Replaces sampling.ratio.", "1"},
	"export.otlp.sampling.services[].slow":  {"Replaces sampling.slow.", "200ms"},
	"export.otlp.metrics":                   {"Metrics of requests, workers and the agent itself.", ""},
	"export.otlp.metrics.enabled":           {"Export them.", ""},
	"export.otlp.metrics.interval":          {"Time between two uploads. 0 leaves it to OTEL_METRIC_EXPORT_INTERVAL, and without it to 1m.", "30s"},
	"export.otlp.metrics.histograms":        {"explicit (buckets with fixed bounds) or exponential (finer, for receivers that take them). Empty leaves it to OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION, and without it to explicit.", "exponential"},
}

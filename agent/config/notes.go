package config

// note describes a key whose structure belongs to another package.
type note struct{ doc, example string }

// notes describes the keys of the OTLP exporter's configuration, which have no
// tags, because that package does not know this one. A test requires a note for
// each key and a key for each note.
var notes = map[string]note{
	"export.otlp.endpoint":                      {"Base URL of the receiver. If empty, OTEL_EXPORTER_OTLP_ENDPOINT is used; if both are empty, nothing is exported.", "http://127.0.0.1:4318"},
	"export.otlp.protocol":                      {"grpc, http/protobuf or http/json. Empty means grpc on port 4317 and http/protobuf elsewhere, unless OTEL_EXPORTER_OTLP_PROTOCOL says otherwise.", "grpc"},
	"export.otlp.headers":                       {"Headers to send with every upload, for example the receiver's API key.", "{authorization: Bearer 1234}"},
	"export.otlp.compression":                   {"gzip or none. If empty, OTEL_EXPORTER_OTLP_COMPRESSION is used.", "gzip"},
	"export.otlp.tls":                           {"TLS settings for https endpoints.", ""},
	"export.otlp.tls.ca":                        {"PEM file of the certificate authorities to trust; if empty, those of the system.", "/etc/lapwing/ca.pem"},
	"export.otlp.tls.cert":                      {"PEM file of the client certificate; requires key.", "/etc/lapwing/client.pem"},
	"export.otlp.tls.key":                       {"PEM file of the private key of the client certificate.", "/etc/lapwing/client-key.pem"},
	"export.otlp.tls.server_name":               {"Name to expect in the receiver's certificate, if it differs from the host of the endpoint.", "collector.internal"},
	"export.otlp.tls.insecure_skip_verify":      {"Accept any certificate. For tests only: the receiver is not authenticated.", ""},
	"export.otlp.timeout":                       {"Timeout of one attempt to upload a batch. 0 uses OTEL_EXPORTER_OTLP_TIMEOUT, or 10s if that is not set.", "5s"},
	"export.otlp.queue_size":                    {"Number of requests that can wait for upload. Requests that do not fit are dropped and counted. Requests are queued ten times a second.", "4096"},
	"export.otlp.batch_size":                    {"Maximum number of requests in one upload; a request has up to five spans.", "256"},
	"export.otlp.batch_delay":                   {"Maximum time that a request waits for its batch to fill.", "1s"},
	"export.otlp.retry":                         {"Retries after a temporary failure.", ""},
	"export.otlp.retry.initial_interval":        {"Pause before the first retry; each further pause is longer.", "1s"},
	"export.otlp.retry.max_interval":            {"Maximum pause between retries.", "15s"},
	"export.otlp.retry.max_elapsed":             {"Time after which a batch is dropped and counted.", "1m"},
	"export.otlp.url_query":                     {"Add the query string to the spans. Query strings often contain secrets.", ""},
	"export.otlp.sampling":                      {"Which requests become traces. Metrics and tables include every request, regardless of sampling.", ""},
	"export.otlp.sampling.ratio":                {"Fraction of requests to keep, 0 to 1.", "0.05"},
	"export.otlp.sampling.follow_parent":        {"Follow the sampled flag of an incoming traceparent instead of the ratio. Switch this off if clients are not trusted.", ""},
	"export.otlp.sampling.keep_failed":          {"Keep every failed request.", ""},
	"export.otlp.sampling.slow":                 {"Keep every request that took at least this long; 0 disables this.", "500ms"},
	"export.otlp.sampling.slowest":              {"Keep this fraction of each service's requests: the slowest, compared with the recent requests of the same service. 0.01 keeps those above the 99th percentile; 0 disables this.", "0.01"},
	"export.otlp.sampling.max_spans_per_second": {"Limit for all spans that are kept; a request has up to five. Above the limit, failed, slow and other requests are sampled at a lower ratio, which their spans record. 0 is no limit.", "10000"},
	"export.otlp.sampling.services":             {"Overrides for individual services.", ""},
	"export.otlp.sampling.services[].service": {
		"Name of the service.", "shop",
	},
	"export.otlp.sampling.services[].ratio": {"Replaces sampling.ratio.", "1"},
	"export.otlp.sampling.services[].slow":  {"Replaces sampling.slow.", "200ms"},
	"export.otlp.metrics":                   {"Metrics of requests, workers and the agent.", ""},
	"export.otlp.metrics.enabled":           {"Export metrics.", ""},
	"export.otlp.metrics.interval":          {"Time between uploads. 0 uses OTEL_METRIC_EXPORT_INTERVAL, or 1m if that is not set.", "30s"},
	"export.otlp.metrics.histograms":        {"explicit (buckets with fixed bounds) or exponential (finer, if the receiver supports them). If empty, OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION is used, or explicit if that is not set.", "exponential"},
}

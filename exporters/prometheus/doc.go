// Package prometheus serves the metrics of package metrics to Prometheus: as
// text, as OpenMetrics with exemplars, and as protobuf with native histograms,
// whatever the scraper asks for.
//
// Names follow the rules by which Prometheus itself translates OpenTelemetry's:
// http.server.request.duration in seconds is
// http_server_request_duration_seconds. The service, which OpenTelemetry has as
// a resource, is the label service_name.
package prometheus

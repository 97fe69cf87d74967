// Package prometheus serves the metrics of package metrics to Prometheus: as
// text, as OpenMetrics with exemplars, or as protobuf with native histograms,
// depending on what the scraper asks for.
//
// Names follow the rules by which Prometheus translates OpenTelemetry's names:
// http.server.request.duration in seconds is
// http_server_request_duration_seconds. The service, which is a resource in
// OpenTelemetry, is the label service_name.
package prometheus

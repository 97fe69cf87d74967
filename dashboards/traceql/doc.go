// Package traceql parses TraceQL with Grafana's own grammar and runs queries on
// the spans of a test. So the queries of the dashboards can be tested without
// Tempo.
//
// The grammar is @grafana/lezer-traceql, which Grafana's editor uses. The
// folder npm has its files and those of its parser, unchanged, as `make
// dashboard-schema` copies them from the packages. A JavaScript interpreter in
// Go runs them, so tests need neither node nor npm.
//
// The meaning of a query follows Tempo's documentation, as this package
// understands it, for the part of the language that the dashboards use.
// Anything else is an error, never an empty result.
package traceql

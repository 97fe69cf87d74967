// Package traceql reads TraceQL with Grafana's own grammar and runs queries
// over spans that a test has, so that the queries of the dashboards can be
// tested without a Tempo.
//
// The grammar is @grafana/lezer-traceql, as Grafana's editor uses it. Folder
// npm holds its files and those of the parser that it is made for, unchanged,
// as `make dashboard-schema` takes them from the packages; a JavaScript
// interpreter in Go runs them, so tests need neither node nor npm.
//
// What a query means is this package's reading of Tempo's documentation, for
// the part of the language that the dashboards use. Anything else is an error,
// never an empty result.
package traceql

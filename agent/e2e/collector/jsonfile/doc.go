// Package jsonfile is a Collector exporter that appends what it is given to a
// file, one OTLP/JSON export request a line. It writes before the receiver
// answers, so a client that got its answer finds its data in the file.
package jsonfile

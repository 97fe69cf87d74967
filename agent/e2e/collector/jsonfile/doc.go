// Package jsonfile is a Collector exporter that appends what it gets to a file,
// one OTLP/JSON export request per line. It writes before the receiver
// responds, so a client that got its response finds its data in the file.
package jsonfile

// Package bpf holds the kernel side of the probes: the sources of its programs and maps
// in src, the objects that are compiled from them, and the Go types that both sides
// share. It is generated; nothing here loads a program.
package bpf

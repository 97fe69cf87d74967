// Package bpf holds the kernel side of the probes: the sources of its programs and maps
// in src, the objects compiled from them, and the Go types of what both sides share. The
// Go files are generated. Package socket loads the programs.
package bpf

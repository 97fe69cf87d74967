// Package probes is the folder of the kernel side: socket measures, marker finds the
// applications that servers call, foreign opens files of other users. It has no code of
// its own, only the test that keeps docs/architecture.md and the maps in agreement.
package probes

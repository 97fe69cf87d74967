// Package debug prints the records and events of the probes as the kernel wrote
// them, before they are processed. It helps to find faults in the probes.
package debug

// Package debug prints the records and events of the probes as the kernel wrote them,
// before anything is made of them: for whoever looks for a fault in the probes.
package debug

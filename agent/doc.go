// Package agent wires the stages: probes → collectors → exporters.
package agent

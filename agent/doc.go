// Package agent connects the stages: probes → collectors → exporters.
package agent

// Package packaging has no code. It has the files that an installation needs
// besides the binary, and their tests. The systemd unit is lapwing.service.
// kubernetes has a DaemonSet, and collector has the configurations of the
// OpenTelemetry Collectors between agents and backends. docs/operations.md and
// docs/scaling.md describe how to use them.
package packaging

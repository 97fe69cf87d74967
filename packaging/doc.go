// Package packaging has no code: it is what an installation takes besides the
// binary, and the tests of that. The unit for systemd is lapwing.service;
// kubernetes has a DaemonSet, collector the configurations of the OpenTelemetry
// Collectors between agents and backends. docs/operations.md and
// docs/scaling.md say how they are used.
package packaging

// Package health is the agent's account of itself: what it produced and, per
// cause, what it could not.
//
// Table lists all counters, once: name, unit, help, causes, and where each is
// read. The log, the footers of tables, the last JSON object, the metrics, the
// dashboards and the tables in docs/telemetry.md and docs/operations.md are made
// from it. To count something new, add an entry.
package health

// Package health is the agent's account of itself: what it produced and, by
// cause, what it could not produce.
//
// Table lists every counter once: its name, unit, help, causes, and the value
// it is read from. The log, the footers of tables, the last JSON object, the
// metrics, the dashboards and the tables in docs/telemetry.md and
// docs/operations.md are generated from it. To count something new, add an
// entry.
package health

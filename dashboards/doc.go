// Package dashboards has the Grafana dashboards of Lapwing as code: what each
// panel shows, how to read it, and where it leads. All returns them.
// tools/dashboards writes them to dashboards/grafana as JSON for Grafana; make
// dashboards runs it.
//
// The names of metrics come from exporters/metrics, so that a rename also
// changes the panels. A panel is a question, a description, a unit and its
// queries. The rest is the same for all panels.
//
// The folder stack has the configuration of the backends, and the alert rules.
package dashboards

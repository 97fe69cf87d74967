// Package dashboards holds the Grafana dashboards of Lapwing as code: what
// each panel asks, how it is to be read, and where it leads. All returns them;
// tools/dashboards writes them to dashboards/grafana as the JSON that Grafana
// imports, which make dashboards does.
//
// Metrics are named by exporters/metrics, so that a renamed one does not leave
// a panel behind. A panel is a question, a description, a unit and its queries;
// the rest is filled in alike for all of them.
//
// The folder stack has the configuration of the backends and the alert rules.
package dashboards

// Package interpolate puts values in the place of variables in queries and links, the
// way Grafana does before it sends a query: for tests, which send the queries
// of the dashboards themselves.
package interpolate

// Package interpolate replaces variables in queries and links with values, as
// Grafana does before it sends a query. It is for tests that send the queries
// of the dashboards themselves.
package interpolate

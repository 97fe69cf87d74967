// Package route finds the route template that a request's path matches, such as
// /orders/{id} for /orders/17. Templates come only from the configuration. A raw
// path never becomes a route, so clients cannot create routes.
package route

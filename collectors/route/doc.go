// Package route finds the route template that a request's path matches, such
// as /orders/{id} for /orders/17. Templates come from the configuration only:
// a raw path never becomes a name, so clients cannot make up names.
package route

// Package jaeger has no code: its module says which Jaeger the end-to-end tests
// build, apart from the agent's module so that none of Jaeger's dependencies
// reach it.
package jaeger

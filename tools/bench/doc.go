// Bench measures the overhead of the agent for an nginx that answers from
// memory. Runs with and without the agent alternate, so that other work of the
// machine affects both. docs/benchmark.md explains every figure.
package main

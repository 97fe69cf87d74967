// Bench measures what the agent costs an nginx that answers from memory: runs
// with and without the agent alternate, so that what the machine does besides
// falls on both. docs/benchmark.md explains every figure.
package main

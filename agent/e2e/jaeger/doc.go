// Package jaeger has no code. Its module names the Jaeger that the end-to-end
// tests build. It is separate from the agent's module, so that Jaeger's
// dependencies do not become dependencies of the agent.
package jaeger

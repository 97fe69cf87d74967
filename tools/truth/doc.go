// Truth compares the agent's view of requests, from outside, with what the
// reference servers and the clients recorded about the same requests, from
// inside. It covers every architecture, scenario, load and probe plan.
// docs/truth.md explains what is compared with what.
package main

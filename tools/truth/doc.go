// Truth holds the agent's view of requests, from outside, against what the
// reference servers and the clients wrote down about the same requests, from
// inside: every architecture, in every scenario, under every load, by every
// probe plan. docs/truth.md explains what is compared with what.
package main

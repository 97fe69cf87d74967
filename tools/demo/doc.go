// Demo shows in ten seconds what the agent is for: there are more clients than
// a small server has workers, and the agent shows where the time of their
// requests goes. It runs the bundled reference server, the agent and the
// clients on loopback, and leaves nothing running.
package main

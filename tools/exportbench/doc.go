// Command exportbench measures what exporting costs the agent. Finished
// requests at a fixed rate go through the agent's own exporters, in a process
// of their own, to a receiver and a scraper in another process. make bench runs
// it.
package main

// Command lapwing shows, for every request of the web servers on a host, how
// long it waited, was parsed, was worked on and was written back.
//
// Each subcommand has a file of its own: it turns its flags into a
// configuration, starts the agent with it and shows what the agent sees.
package main

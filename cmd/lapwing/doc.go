// Command lapwing shows, for every request to the web servers on a host, how
// long it was queued, parsed, handled by the application and written back.
//
// Each subcommand has a file of its own. It turns its flags into a
// configuration, starts the agent with it and shows what the agent sees.
package main

// Package text limits strings from outside to what the agent can store and show:
// they have a maximum length, are valid UTF-8, and contain nothing that controls a
// terminal or makes a line look different from what it is. A string is cut where it
// enters the agent. What cannot be shown is escaped there, too, if the string
// becomes a name. Otherwise it is escaped where the string leaves the agent.
package text

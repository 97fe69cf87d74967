// Package text holds strings from outside to what the agent can carry and show:
// a length, valid UTF-8, and nothing that does something to a terminal or makes a
// line read other than it is. Lengths are cut where a string enters; what cannot
// be shown is escaped there too if the string becomes a name, else where it leaves.
package text

// Package hostile runs the agent beside programs of a user who means it harm.
// The programs are this package's test binary under other names.
package hostile

// Package hostile runs the agent together with programs of a hostile user. The
// programs are this package's test binary under other names.
package hostile

// Package marker finds the functions through which servers call their
// application, in the files of running processes, and has a probe attached to
// each. With such a mark the boundary between the phases parse and app is
// exact. Which functions there are stands in one table.
package marker

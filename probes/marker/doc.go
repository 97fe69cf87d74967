// Package marker finds the functions through which servers call their application, in the
// files of running processes, and attaches a probe to each. With such a mark the boundary
// between the phases parse and app is exact. One table lists these functions.
package marker

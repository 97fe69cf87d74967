// Package privilege knows the privileges that the agent needs. It checks them
// before the probes are loaded, so that a missing one is reported in one clear
// line instead of an EPERM. It drops them once the probes are attached.
package privilege

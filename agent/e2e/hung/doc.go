// Package hung puts processes beside servers that never answer who looks at them.
// They do what an unprivileged user can: they lock their memory and wait for a file
// system that does not answer, here one of FUSE's.
package hung

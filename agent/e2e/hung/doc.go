// Package hung runs servers together with processes that never answer when
// another process inspects them. They do what an unprivileged user can: they
// lock their memory and wait for a file system that does not answer, here one
// with FUSE.
package hung

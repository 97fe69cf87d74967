// Package service says who serves: it turns a process id into the identity of
// a service, once per process, from what /proc tells about it.
//
// A name survives the restart of a worker, because it is taken from what all
// workers of a service share. The first of these that applies gives it:
//
//  1. a rule of the configuration,
//  2. the container,
//  3. the systemd unit,
//  4. the program: the executable, or what an interpreter was told to run,
//  5. when the process is gone: its parent, if it ran the same program, else the
//     command name that the kernel recorded.
//
// Two servers that have a name in common are told apart by PoolName.
package service

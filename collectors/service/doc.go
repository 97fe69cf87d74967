// Package service finds the identity of the service that a process belongs to, once
// per process, from what /proc says about it.
//
// A name stays the same when a worker is restarted, because it is taken from what
// all workers of a service share. The first of these that applies gives the name:
//
//  1. a rule of the configuration,
//  2. the container,
//  3. the systemd unit,
//  4. the program: the executable, or what an interpreter was told to run,
//  5. when the process is gone: its parent, if it ran the same program, else the
//     command name that the kernel recorded.
//
// PoolName gives two servers with the same name different names.
package service

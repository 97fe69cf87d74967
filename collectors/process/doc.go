// Package process reads what the processes and threads of servers use: CPU time,
// memory, descriptors, threads. It reads only the processes that the caller names,
// every few seconds, and never because of a request.
package process

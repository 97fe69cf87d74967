// Package process samples what the processes and threads of servers use: CPU
// time, memory, descriptors, threads. It looks only at those it is asked for,
// every few seconds, and never because of a request.
package process

// Package kernellog reads the log that the kernel side writes its messages to, in the
// memory that both share.
package kernellog

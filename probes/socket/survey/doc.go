// Package survey finds out which kernel hooks the running kernel has, and which of the
// probe plans are possible with them. It loads no programs.
package survey

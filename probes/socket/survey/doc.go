// Package survey finds out which kernel hooks the running kernel has, and which of the
// probe plans can be carried out with them. It loads no programs.
package survey

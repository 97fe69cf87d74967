//go:build !amd64

package sandbox

// ofArchitecture are calls that others go without, or know by another name.
var ofArchitecture = []string{"fstatat"}

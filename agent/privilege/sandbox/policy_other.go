//go:build !amd64

package sandbox

// ofArchitecture are calls that other architectures do not have, or name
// differently.
var ofArchitecture = []string{"fstatat"}

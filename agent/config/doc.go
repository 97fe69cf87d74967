// Package config is the agent's configuration: its keys, their defaults, how
// they are read and how they are checked.
//
// A value comes from the first of these that sets it: a flag of the command, an
// environment variable, the YAML file, the default. The tags of the structures
// describe the keys. The example file and docs/configuration.md are generated
// from them.
package config

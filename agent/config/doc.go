// Package config is the agent's configuration: its keys, their defaults, how
// they are read and what is wrong with them.
//
// A value comes from the first of these that sets it: a flag of the command,
// an environment variable, the YAML file, the default. The keys describe
// themselves in the tags of the structures, from which the example file and
// docs/configuration.md are made.
package config

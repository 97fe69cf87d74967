// Package tempo has no code: its module says which Tempo the end-to-end tests
// build, apart from the agent's module so that none of Tempo's dependencies
// reach it. The version is that of release 2.9.0, whose tag Go cannot resolve;
// the replacements are Tempo's own.
package tempo

// Package attack is what a user without rights does to the programs of others on
// the same host: names, files, mappings and sockets that are made to hurt whoever
// looks at them. The tests of package e2e use single attacks, those of package soak
// all of them at random.
package attack

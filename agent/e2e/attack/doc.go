// Package attack is what an unprivileged user can do to the programs of others
// on the same host: names, files, mappings and sockets that are made to harm
// programs that look at them. The tests of package e2e use single attacks,
// those of package soak use all of them at random.
package attack

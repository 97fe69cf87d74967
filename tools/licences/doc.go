// Command licences lists what the build and the tests of this repository use,
// and under which licence: Go modules that are built or linked, the npm packages
// that check the dashboards, and the Debian packages that tests run, with those
// that they depend on.
//
// What is built or linked must be under one of a few permissive licences, see
// allowed.go. Debian's packages are programs of their own that tests run: they
// must come from the free part of the distribution, and none may be under the
// AGPL, the SSPL or terms like theirs. Where something is not allowed, the
// command says why and fails, and so does its test.
package main

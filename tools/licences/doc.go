// Command licences lists what the build and the tests of this repository use,
// with its licence: Go modules that are built or linked, the npm packages that
// check the dashboards, and the Debian packages that tests run, with their
// dependencies.
//
// What is built or linked must have one of a few permissive licences, see
// allowed.go. Debian's packages are separate programs that tests run. They must
// come from the free part of the distribution, and none may have the AGPL, the
// SSPL or a similar licence. If something is not allowed, the command reports
// why and fails, and so does its test.
package main

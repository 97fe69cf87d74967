// Package gateway has the protocols between a front end and an application
// server: FastCGI, uwsgi and SCGI. The codecs are for the application server,
// the Append functions for the front end.
package gateway

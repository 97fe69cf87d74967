// Package gateway is the protocols between a front end and an application
// server: FastCGI, uwsgi and SCGI. The codecs are the application server's
// side, the Append functions the front end's.
package gateway

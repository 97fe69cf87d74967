// Package daemon is the application server behind a front end: mod_wsgi's
// daemon processes, php-fpm, uWSGI behind nginx. Worker processes, with one or
// more threads each, block in accept on a unix or TCP socket and speak
// FastCGI, uwsgi, SCGI or HTTP.
package daemon

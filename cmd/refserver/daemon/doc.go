// Package daemon is the application server after a front end: mod_wsgi's daemon
// processes, php-fpm, uWSGI after nginx. Worker processes, with one or more
// threads each, block in accept on a unix or TCP socket and speak FastCGI,
// uwsgi, SCGI or HTTP.
package daemon

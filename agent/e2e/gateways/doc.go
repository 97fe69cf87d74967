// Package gateways tests the hops between real front ends and application
// servers: nginx and Apache as front ends, and uWSGI, php-fpm, mod_wsgi's
// daemon, mod_fcgid and Passenger as application servers. The agent must print
// each hop's requests as the server logged them, with both probe plans. Its
// times must agree with the server's own clock.
package gateways

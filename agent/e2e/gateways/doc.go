// Package gateways tests the hops between front ends and application servers
// with real ones: nginx and Apache in front, uWSGI, php-fpm, mod_wsgi's daemon,
// mod_fcgid and Passenger behind them. The agent must print each hop's requests
// as the server logged them, on both probe plans, and its times must agree with
// the server's own clock.
package gateways

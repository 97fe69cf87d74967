// Package prefork is the architecture of gunicorn's sync workers, of uWSGI's
// processes and of Apache's prefork MPM. N worker processes block in accept on
// one shared socket, and each serves one connection at a time. Requests beyond
// N wait in the listen backlog. As in uWSGI, a process may have several such
// threads.
package prefork

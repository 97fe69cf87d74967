package service

// Source says which rule gave an identity its name.
type Source string

// The sources of a name, strongest first.
const (
	FromRule      Source = "rule"
	FromContainer Source = "container"
	FromUnit      Source = "unit"
	FromProgram   Source = "program"
	FromComm      Source = "comm"
)

// Identity is who serves. Identities are shared between callers and never
// change once handed out.
type Identity struct {
	// Name is the service, the same for all of its workers and across their
	// restarts. It is never empty. Two servers can share it: PoolName tells
	// them apart.
	Name string
	// Instance tells apart two instances of one service; the workers of a
	// pool share it. It begins with the host's name: web-1/nginx.service,
	// web-1/3f2a9c01b7de (a container), web-1/4711 (the master's process id).
	Instance string
	// Kind is the program that serves, whatever the service is called:
	// nginx, gunicorn, php-fpm. Empty when the process was gone.
	Kind string
	// Source says where Name comes from.
	Source Source

	Exe       string // path of the executable, as the process itself sees it
	Unit      string // systemd unit, with its suffix; empty outside of units
	Container string // container id; empty outside of containers
	// Master is the topmost ancestor that runs the same program, or the
	// process itself; 0 when the process was gone.
	Master uint32

	// Unsure says that the process, or one above it, does not tell its command
	// line: a better name may come.
	Unsure bool

	masterStart uint64 // its start time
	app         string // what it runs, as its command line tells; may be empty
	origin      string // digest of who started it and how; equal for what one parent starts again and again
	cwd         string // digest of where it was when it was looked at
}

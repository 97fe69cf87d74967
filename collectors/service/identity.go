package service

// Source says which rule gave an identity its name.
type Source string

// The sources of a name. A source takes precedence over the later ones.
const (
	FromRule      Source = "rule"
	FromContainer Source = "container"
	FromUnit      Source = "unit"
	FromProgram   Source = "program"
	FromComm      Source = "comm"
)

// Identity identifies the service of a process. Identities are shared between
// callers and never change after they were returned.
type Identity struct {
	// Name is the service. It is the same for all workers and after their restarts.
	// It is never empty. Two servers can share it; PoolName gives them different
	// names.
	Name string
	// Instance identifies an instance of the service. The workers of a pool share
	// it. It starts with the host's name: web-1/nginx.service, web-1/3f2a9c01b7de
	// (a container), web-1/4711 (the master's process id).
	Instance string
	// Kind is the program of the server, whatever the service is called: nginx,
	// gunicorn, php-fpm. It is empty if the process was gone.
	Kind string
	// Source says where Name comes from.
	Source Source

	Exe       string // path of the executable, as the process itself sees it
	Unit      string // systemd unit, with its suffix; empty if there is none
	Container string // container id; empty if there is none
	// Master is the topmost ancestor that runs the same program, or the process
	// itself. It is 0 if the process was gone.
	Master uint32

	// Unsure says that the command line of the process, or of an ancestor, could
	// not be read. A better name may follow.
	Unsure bool

	masterStart uint64 // start time of the master
	app         string // the application, according to the command line; may be empty
	origin      string // digest of the parent and the command line; equal for processes that one parent starts again and again
	cwd         string // digest of the working directory at the time of the look
}

// Package config has the settings that all architectures share.
package config

import (
	"errors"
	"fmt"
	"time"
)

// Config holds the settings of the command line.
type Config struct {
	Arch      string        // name of the architecture
	Listen    string        // 127.0.0.1:8080, [::1]:8080 or unix:/path; port 0 picks one
	Workers   int           // worker processes, or threads if there is one process
	Threads   int           // threads per process, if the architecture has both
	Backlog   int           // length of the listen backlog
	KeepAlive time.Duration // how long a silent connection is kept open; 0 closes it after each response
	Truth     string        // file for one JSON line per request; empty for none
	Upstream  string        // front: where to send requests, http://…, fastcgi://…, uwsgi://… or scgi://…
	Protocol  string        // daemon: http, fastcgi, uwsgi or scgi
}

// maxWorkers limits both processes and threads. A reference server with more of
// them measures the scheduler, not the architecture.
const maxWorkers = 1024

// Slots returns the number of workers on the board of a server with several
// processes. A worker is a thread that serves.
func (c Config) Slots() int { return c.Workers * c.Threads }

// Validate reports settings that no architecture accepts.
func (c Config) Validate() error {
	return errors.Join(
		inRange("--workers", c.Workers, 1, maxWorkers),
		inRange("--threads", c.Threads, 1, maxWorkers),
		inRange("--backlog", c.Backlog, 1, 65535),
		notNegative("--keepalive", c.KeepAlive),
	)
}

func inRange(flag string, v, lowest, highest int) error {
	if v < lowest || v > highest {
		return fmt.Errorf("%s %d is out of range: give a number from %d to %d", flag, v, lowest, highest)
	}
	return nil
}

func notNegative(flag string, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("%s %v is negative: give a duration such as 5s, or 0 to close after each response", flag, d)
	}
	return nil
}

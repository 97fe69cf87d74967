package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lapwing/cmd/refserver/board"
)

// pattern is the content of large responses, 64 bytes per line.
const pattern = "the lapwing runs a few steps, stops, listens, and runs on again\n"

// chunkBytes is the size of one chunk of a streamed response.
const chunkBytes = 1 << 10

// big sends kb kilobytes at once.
func (a *App) big(w Writer, r *Request) Pending {
	p := parseParams(r)
	n := p.number("kb", maxKB) << 10
	if p.err != nil {
		return p.refuse(w)
	}
	w.Start(200, "text/plain", int64(n))
	w.Write(a.files.content(n))
	return Pending{}
}

// stream sends a number of chunks with a pause of ms milliseconds between them.
func (a *App) stream(w Writer, r *Request) Pending {
	p := parseParams(r)
	chunks, pause := p.number("chunks", maxChunks), p.millis()
	if p.err != nil {
		return p.refuse(w)
	}
	w.Start(200, "text/plain", -1)
	return streamRest(w, chunks, pause)
}

func streamRest(w Writer, chunks int, pause time.Duration) Pending {
	if chunks == 0 || w.Err() != nil {
		return Pending{}
	}
	w.Write([]byte(strings.Repeat(pattern, chunkBytes/len(pattern))))
	if chunks == 1 {
		return Pending{}
	}
	return Pending{After: pause, Then: func(w Writer) Pending {
		return streamRest(w, chunks-1, pause)
	}}
}

// file sends kb kilobytes from a file.
func (a *App) file(w Writer, r *Request) Pending {
	p := parseParams(r)
	n := int64(p.number("kb", maxKB)) << 10
	if p.err != nil {
		return p.refuse(w)
	}
	fd, err := a.files.open()
	if err != nil {
		return text(w, 500, err.Error()+"\n")
	}
	w.Start(200, "application/octet-stream", n)
	w.SendFile(fd, n)
	return Pending{}
}

func (a *App) workers(w Writer, _ *Request) Pending {
	body, err := json.Marshal(struct {
		Arch    string         `json:"arch"`
		Workers []board.Worker `json:"workers"`
	}{a.arch, a.board.Workers()})
	if err != nil {
		return text(w, 500, err.Error()+"\n")
	}
	w.Start(200, "application/json", int64(len(body)+1))
	w.Write(append(body, '\n'))
	return Pending{}
}

// fileStore holds the content of large responses. It is created at first use.
type fileStore struct {
	mu   sync.Mutex
	text []byte
	fd   int
	made bool
}

// content returns n bytes of text, which must not be changed.
func (s *fileStore) content(n int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.text) < n {
		s.text = bytes.Repeat([]byte(pattern), n/len(pattern)+1)
	}
	return s.text[:n]
}

// open returns a file of maxKB kilobytes. It is sparse, so its zeros use no
// memory.
func (s *fileStore) open() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made {
		return s.fd, nil
	}
	fd, err := unix.MemfdCreate("refserver-file", unix.MFD_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("make the file to send: %w", err)
	}
	if err := unix.Ftruncate(fd, maxKB<<10); err != nil {
		_ = unix.Close(fd)
		return 0, fmt.Errorf("size the file to send: %w", err)
	}
	s.fd, s.made = fd, true
	return fd, nil
}

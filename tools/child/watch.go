package child

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
)

// tailLines is the number of the last lines of a program that an error may
// quote.
const tailLines = 3

// maxLine limits how much of a line without an end is kept, in bytes.
const maxLine = 64 << 10

// watch searches the output of a program for the ready line, and keeps the last
// lines of its errors.
type watch struct {
	prefix string
	ready  chan string

	mu   sync.Mutex
	seen bool
	tail []string
}

func newWatch(prefix string) *watch {
	return &watch{prefix: prefix, ready: make(chan string, 1)}
}

// stream returns the writer for one of the program's outputs.
func (w *watch) stream(out io.Writer) io.Writer {
	if file, ok := out.(*os.File); ok {
		return file
	}
	return &lines{watch: w, out: out}
}

func (w *watch) line(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.prefix != "" && !w.seen && strings.HasPrefix(text, w.prefix) {
		w.seen = true
		w.ready <- text
		return
	}
	w.tail = append(w.tail, text)
	if len(w.tail) > tailLines {
		w.tail = w.tail[1:]
	}
}

func (w *watch) last() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.tail...)
}

// lines cuts one output into lines and passes it on unchanged.
type lines struct {
	watch   *watch
	out     io.Writer
	partial []byte
}

func (l *lines) Write(b []byte) (int, error) {
	rest := b
	for {
		line, after, found := bytes.Cut(rest, []byte{'\n'})
		if room := maxLine - len(l.partial); len(line) > room {
			line = line[:room]
		}
		l.partial = append(l.partial, line...)
		if !found {
			break
		}
		l.watch.line(string(l.partial))
		l.partial = l.partial[:0]
		rest = after
	}
	if l.out == nil {
		return len(b), nil
	}
	return l.out.Write(b)
}

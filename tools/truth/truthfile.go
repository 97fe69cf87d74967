package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"lapwing/cmd/refserver/truth"
)

// truthFile is the file in which a server records its requests. It is read
// while it grows.
type truthFile struct {
	path   string
	offset int64
	lines  map[string]truth.Line // by request id
}

func newTruthFile(path string) *truthFile {
	return &truthFile{path: path, lines: make(map[string]truth.Line)}
}

// update reads the new lines.
func (f *truthFile) update() error {
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("read the server's truth: %w", err)
	}
	defer func() { _ = file.Close() }()
	added, err := io.ReadAll(io.NewSectionReader(file, f.offset, 1<<40))
	if err != nil {
		return fmt.Errorf("read the server's truth: %w", err)
	}
	// The last line may be incomplete.
	added = added[:bytes.LastIndexByte(added, '\n')+1]
	f.offset += int64(len(added))
	for line := range bytes.Lines(added) {
		if err := f.add(line); err != nil {
			return err
		}
	}
	return nil
}

func (f *truthFile) add(line []byte) error {
	var l truth.Line
	if err := json.Unmarshal(line, &l); err != nil {
		return fmt.Errorf("read the server's truth: line %q: %w", line, err)
	}
	if _, twice := f.lines[l.ID]; twice {
		return fmt.Errorf("the server has two lines of truth about request %s: it must have one", l.ID)
	}
	f.lines[l.ID] = l
	return nil
}

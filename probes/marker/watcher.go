package marker

import (
	"io"
	"log/slog"

	"lapwing/probes/uprobe"
)

// Kernel attaches the program that notes a call into the application.
type Kernel interface {
	// Mark attaches it to the code at an offset in a file. The mark is removed when
	// it is closed.
	Mark(path string, offset uint64, rank uint8) (io.Closer, error)
}

// attacher attaches to a marker's function through a Kernel.
type attacher struct{ Kernel }

// Attach implements uprobe.Kernel.
func (a attacher) Attach(path string, offset uint64, f uprobe.Function) (io.Closer, error) {
	return a.Mark(path, offset, uint8(f.Cookie))
}

// NewWatcher returns a watcher for the markers of a mode.
func NewWatcher(kernel Kernel, mode Mode, log *slog.Logger) *uprobe.Watcher {
	return uprobe.NewWatcher(uprobe.Options{
		Kernel: attacher{kernel}, Functions: mode.functions(), Log: log,
		OnSearched: func(files, marks int) {
			log.Info("processes searched for markers", "files", files, "markers", marks)
		},
	})
}

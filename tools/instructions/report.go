package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// report holds the measured figures. A baseline is an earlier report.
type report struct {
	// Agent, Nginx and Kernels are the versions that were measured. They help
	// to explain a difference, but are not compared.
	Agent   string            `json:"agent"`
	Nginx   string            `json:"nginx"`
	Kernels map[string]string `json:"kernels"` // series: release
	Figures []figure          `json:"figures"`
}

func load(path string) (report, error) {
	var r report
	b, err := os.ReadFile(path)
	if err != nil {
		return r, fmt.Errorf("read the baseline: %w", err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("read the baseline %s: %w", path, err)
	}
	return r, nil
}

// save writes the report to a file. It creates the folder of the file.
func (r report) save(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("save the report: %w", err)
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("save the report: %w", err)
	}
	if err := r.write(file); err != nil {
		_ = file.Close()
		return fmt.Errorf("save the report: %w", err)
	}
	return file.Close()
}

// write writes one line per figure, so that a change of the baseline is easy to
// read.
func (r report) write(w io.Writer) error {
	lines := make([]string, len(r.Figures))
	for i, f := range r.Figures {
		line, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
		lines[i] = "    " + string(line)
	}
	r.Figures = nil
	head, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	whole := strings.Replace(string(head), `"figures": null`, `"figures": [`+"\n"+strings.Join(lines, ",\n")+"\n  ]", 1)
	_, err = io.WriteString(w, whole+"\n")
	return err
}

// get returns a figure.
func (r report) get(k key) (figure, bool) {
	i := slices.IndexFunc(r.Figures, func(f figure) bool { return f.key == k })
	if i < 0 {
		return figure{}, false
	}
	return r.Figures[i], true
}

// with returns the report, with its figures replaced by those of a newer
// report.
func (r report) with(newer report) report {
	merged := report{Agent: newer.Agent, Nginx: newer.Nginx, Kernels: make(map[string]string)}
	for _, from := range []report{r, newer} {
		for series, release := range from.Kernels {
			merged.Kernels[series] = release
		}
	}
	for _, f := range r.Figures {
		if _, measured := newer.get(f.key); !measured {
			merged.Figures = append(merged.Figures, f)
		}
	}
	merged.Figures = append(merged.Figures, newer.Figures...)
	merged.sort()
	return merged
}

// sort puts the figures in reading order: kernel, plan, mode, and from no agent
// to the whole agent.
func (r report) sort() {
	rank := []state{stateNone, stateIdle, stateStopped, stateAll}
	slices.SortStableFunc(r.Figures, func(a, b figure) int {
		return cmp.Or(
			cmp.Compare(a.Kernel, b.Kernel),
			cmp.Compare(a.Plan, b.Plan),
			cmp.Compare(slices.Index(rank, a.State), slices.Index(rank, b.State)),
			cmp.Compare(slices.Index(wholeWork.modes, a.Mode), slices.Index(wholeWork.modes, b.Mode)),
		)
	})
}

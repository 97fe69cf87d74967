// Command dashboards writes the dashboards of package dashboards as JSON files
// for import into Grafana.
//
// Usage:
//
//	dashboards FOLDER
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"lapwing/dashboards"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboards FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

func write(folder string) error {
	for _, d := range dashboards.All() {
		raw, err := d.JSON()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, d.UID+".json"), raw, 0o644); err != nil {
			return err
		}
	}
	return nil
}

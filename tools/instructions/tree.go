package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// source is the folder of the guest's own files.
const source = "tools/instructions/guest"

// plant fills a folder with what the guest needs: the agent, the client, and
// nginx with its libraries.
func plant(ctx context.Context, tree, lapwing string) error {
	bin := filepath.Join(tree, "bin")
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		return fmt.Errorf("%w: run make deps", err)
	}
	libraries, err := librariesOf(ctx, nginx)
	if err != nil {
		return err
	}
	errs := []error{
		compile(ctx, filepath.Join(source, "client.c"), filepath.Join(bin, "client")),
		copyFile(lapwing, filepath.Join(bin, "lapwing")),
		copyFile(nginx, filepath.Join(bin, "nginx")),
		copyFile(filepath.Join(source, "measure"), filepath.Join(bin, "measure")),
		copyFile(filepath.Join(source, "nginx.conf"), filepath.Join(tree, "lapwing", "nginx.conf")),
	}
	for _, library := range libraries {
		errs = append(errs, copyFile(library, filepath.Join(tree, library)))
	}
	return errors.Join(errs...)
}

// compile builds a static program, which needs no files of the guest.
func compile(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("compile %s: %w", from, err)
	}
	out, err := exec.CommandContext(ctx, "gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", to, from).CombinedOutput()
	if err != nil {
		return fmt.Errorf("compile %s: %w (apt-get install gcc libc6-dev)\n%s", from, err, out)
	}
	return nil
}

// libraryPath matches the path in a line of ldd, which can follow a name.
var libraryPath = regexp.MustCompile(`(?m)^\s+(?:\S+ => )?(/\S+) \(0x`)

func librariesOf(ctx context.Context, program string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "ldd", program).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("list the libraries of %s: %w: %s", program, err, out)
	}
	if strings.Contains(string(out), "not found") {
		return nil, fmt.Errorf("a library of %s is missing:\n%s", program, out)
	}
	var paths []string
	for _, m := range libraryPath.FindAllStringSubmatch(string(out), -1) {
		paths = append(paths, m[1])
	}
	return paths, nil
}

// copyFile copies a file with its mode, and creates the destination folder.
func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copy into the guest: %w", err)
	}
	info, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("copy into the guest: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("copy into the guest: %w", err)
	}
	if err := os.WriteFile(to, content, info.Mode().Perm()); err != nil {
		return fmt.Errorf("copy into the guest: %w", err)
	}
	return nil
}

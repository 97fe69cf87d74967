package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"lapwing/tools/child"
)

const (
	serverReady = "listening on "
	agentReady  = "lapwing: attached"
)

// play starts everything, lets the clients run and prints what was measured.
func (s *stage) play(ctx context.Context, opts options, out io.Writer) error {
	address, err := s.serve(ctx, opts)
	if err != nil {
		return err
	}
	target := url.URL{Scheme: "http", Host: address}
	var figures bytes.Buffer
	top, err := s.watch(ctx, opts, target.Port(), &figures, "top", "--format", "json")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "A server with %d workers at %s; %d clients request %s for %s.\n", opts.workers, address, opts.clients, route, opts.length)
	fmt.Fprintf(out, "The first %d requests, as lapwing trace shows them:\n\n", shownLines)
	trace, err := s.watch(ctx, opts, target.Port(), out, "trace", "--count", strconv.Itoa(shownLines))
	if err != nil {
		return err
	}
	answered, err := load(ctx, target.String()+route, opts.clients, opts.length)
	if err != nil {
		return err
	}
	if err := letEnd(ctx, trace); err != nil {
		return err
	}
	if err := top.Stop(stopPatience); err != nil {
		return err
	}
	result, err := parseResult(figures.Bytes())
	if err != nil {
		return err
	}
	return result.tell(out, opts, answered)
}

// letEnd gives a program that has printed all its lines time to end by itself,
// and stops any other.
func letEnd(ctx context.Context, c *child.Child) error {
	const moment = 2 * time.Second
	soon, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	if err := c.Wait(soon); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return c.Stop(stopPatience)
}

// serve starts the reference server and returns its address. The server closes
// each connection after a response: a kept-alive one would occupy its worker.
func (s *stage) serve(ctx context.Context, opts options) (string, error) {
	_, line, err := s.start(ctx, child.Options{Ready: serverReady, Args: []string{
		filepath.Join(opts.bin, "refserver"), "--arch", "prefork", "--listen", "127.0.0.1:0",
		"--workers", strconv.Itoa(opts.workers), "--keepalive", "0",
	}})
	return strings.TrimPrefix(line, serverReady), err
}

// watch starts the agent. If the agent lacks privileges or cannot run, it
// prints what is missing and how to fix it. That text becomes the error.
func (s *stage) watch(ctx context.Context, opts options, port string, out io.Writer, args ...string) (*child.Child, error) {
	args = append([]string{filepath.Join(opts.bin, "lapwing")}, append(args, "--port", port)...)
	c, _, err := s.start(ctx, child.Options{Ready: agentReady, Args: args, Stdout: out})
	return c, err
}

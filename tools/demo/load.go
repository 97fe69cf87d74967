package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// load makes each client request the page again as soon as it has received it.
// It waits for the last responses and returns the number of answered requests.
func load(ctx context.Context, page string, clients int, length time.Duration) (uint64, error) {
	client := http.Client{
		Transport: &http.Transport{DisableKeepAlives: true},
		Timeout:   30 * time.Second,
	}
	defer client.CloseIdleConnections()
	var answered atomic.Uint64
	errs := make(chan error, clients)
	end := time.Now().Add(length)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for time.Now().Before(end) {
				if err := get(ctx, &client, page); err != nil {
					errs <- err
					return
				}
				answered.Add(1)
			}
		})
	}
	all.Wait()
	close(errs)
	return answered.Load(), <-errs // nil if no client had an error
}

func get(ctx context.Context, client *http.Client, page string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask the reference server: %w", err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("read the reference server's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the reference server answered %s", resp.Status)
	}
	return nil
}

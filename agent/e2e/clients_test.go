package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"lapwing/agent/e2e/harness"
)

// served is a running server, with a function that reads its own log of the
// requests.
type served struct {
	*harness.Process
	address string
	log     func(t *testing.T) []logged // complete once the server has stopped
}

// logged is one request in the server's own log.
type logged struct {
	path   string
	status int
	took   time.Duration // by the clock of the server; each server defines it differently
}

// requestsEach is the number of requests to a server, clientsEach the number of
// clients.
const (
	requestsEach = 60
	clientsEach  = 4
)

// askAll requests all paths in turn, from several clients. Each has kept-alive
// connections of its own, if the server keeps them.
func askAll(t *testing.T, address string, paths []string) {
	t.Helper()
	var clients sync.WaitGroup
	for c := range clientsEach {
		clients.Go(func() {
			client := newClient()
			defer client.CloseIdleConnections()
			for i := c; i < requestsEach; i += clientsEach {
				url := "http://" + address + fmt.Sprintf(paths[i%len(paths)], i)
				if !assert.NoError(t, fetch(t.Context(), client, url), "request %d", i) {
					return
				}
			}
		})
	}
	clients.Wait()
}

func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{DialContext: (&net.Dialer{}).DialContext},
		Timeout:   harness.Slow(10 * time.Second),
	}
}

func fetch(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

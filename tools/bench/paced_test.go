package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func pacedOptions(rate int) options {
	return options{rate: rate, connections: 4, length: 500 * time.Millisecond}
}

func TestPacedSendsExactly(t *testing.T) {
	var served atomic.Uint64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		_, _ = io.WriteString(w, "ok\n")
	}))
	defer server.Close()
	r, err := runPaced(context.Background(), pacedOptions(400), server.Listener.Addr().String())
	require.NoError(t, err)
	assert.EqualValues(t, 201, r.Requests, "sent")
	assert.EqualValues(t, 201, served.Load(), "served")
	// The last request is sent just before the end of the half second.
	assert.LessOrEqual(t, r.Rate, 402.0, "requests/s, faster than the schedule")
}

func TestPacedRefusesOtherAnswers(t *testing.T) {
	var served atomic.Uint64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1) > 10 {
			w.WriteHeader(http.StatusBadGateway)
		}
		_, _ = io.WriteString(w, "ok\n")
	}))
	defer server.Close()
	_, err := runPaced(context.Background(), pacedOptions(400), server.Listener.Addr().String())
	if assert.Error(t, err) {
		assert.Regexp(t, "502|were to come", err.Error())
	}
}

func TestPacedServerThatFallsSilent(t *testing.T) {
	silent := make(chan struct{})
	var served atomic.Uint64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1) > 10 {
			<-silent
		}
		_, _ = io.WriteString(w, "ok\n")
	}))
	defer server.Close()
	defer close(silent)
	_, err := runPaced(context.Background(), pacedOptions(400), server.Listener.Addr().String())
	assert.ErrorContains(t, err, "of 200 requests")
}

func TestPacedWithoutServer(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	_ = l.Close()
	_, err = runPaced(context.Background(), pacedOptions(10), address)
	assert.Error(t, err, "no error")
}

package socket

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTailIsThereWhereItIsNeeded asks on one connection for responses whose end
// the head tells, at one place of it or another, and for chunked ones.
func TestTailIsThereWhereItIsNeeded(t *testing.T) {
	const body, chunks = "xxxxxxxx", "x\r\n0\r\n\r\n"
	s := httptest.NewServer(http.HandlerFunc(answerAsAsked))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	port, err := strconv.Atoi(u.Port())
	require.NoError(t, err)
	forEachPlan(t, func(t *testing.T, plan Plan) {
		paths := []string{"/length", "/length", "/length", "/chunked", "/length", "/moved", "/length", "/404", "/chunked"}
		got := observe(t, Options{Plan: plan}, uint16(port), func() {
			for _, path := range paths {
				get(t, s.URL+path)
			}
		}).finals()
		var tails []string
		for _, r := range got {
			tails = append(tails, r.tail)
		}
		assert.Equal(t, []string{body, "", "", chunks, "", body, "", body, chunks}, tails)
	})
}

// answerAsAsked writes a body that is longer than the head that is captured.
func answerAsAsked(w http.ResponseWriter, r *http.Request) {
	body := strings.Repeat("x", 3000)
	if r.URL.Path != "/chunked" {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	if r.URL.Path == "/moved" {
		w.Header().Set("A-First-Field", "moves what follows")
	}
	if r.URL.Path == "/404" {
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = io.WriteString(w, body)
}

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	number = regexp.MustCompile(`\d[\d.]*( (?:µs|ms|s)\b)?|#+`)
	blanks = regexp.MustCompile(` +`)
)

// plain returns a text without its numbers and bars.
func plain(text string) string {
	return blanks.ReplaceAllString(number.ReplaceAllString(text, "0"), " ")
}

// TestReadmeShowsTodaysDemo compares the README with the output of the demo,
// except the trace.
func TestReadmeShowsTodaysDemo(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, block, _ := strings.Cut(string(readme), "\nA server with ")
	block, _, found := strings.Cut("A server with "+block, "\n```")
	require.True(t, found, "the README shows no demo")
	r, err := parseResult([]byte(strings.ReplaceAll(totals, "\n", "") + "\n"))
	require.NoError(t, err)
	var told strings.Builder
	require.NoError(t, r.tell(&told, options{workers: 4, clients: 12, length: 10 * time.Second}, 36))
	shown := plain(block)
	for line := range strings.Lines(told.String()) {
		line = strings.TrimSpace(plain(line))
		assert.Contains(t, shown, line, "the README lacks %q:\n%s", line, shown)
	}
}

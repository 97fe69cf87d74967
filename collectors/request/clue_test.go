package request

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func clue(lines ...string) *Clue { return NewClue([]byte(strings.Join(lines, "\r\n") + "\r\n")) }

func TestFits(t *testing.T) {
	client := netip.MustParseAddr("10.1.2.3")
	asked := []string{"GET /shop/cart?id=5 HTTP/1.1", "Host: shop", "User-Agent: curl", "Cookie: a=1"}
	for name, how := range map[string]struct {
		call []string
		want Fit
	}{
		"passed on as it came":               {asked, FitBoth},
		"in lower case, with more lines":     {[]string{asked[0], "user-agent: curl", "cookie: a=1", "via: 1.1 p", "x-forwarded-for: 10.1.2.3"}, FitBoth},
		"another host and encoding":          {[]string{asked[0], "Host: back", "Accept-Encoding: gzip", "User-Agent: curl"}, FitBoth},
		"an absolute target":                 {[]string{"GET http://shop/shop/cart?id=5 HTTP/1.1", "User-Agent: curl"}, FitBoth},
		"only the target":                    {[]string{asked[0], "Host: back"}, FitTarget},
		"a target of the proxy's own":        {[]string{"GET /cart?id=5 HTTP/1.1", "User-Agent: curl", "Cookie: a=1"}, FitLines},
		"another cookie":                     {[]string{asked[0], "User-Agent: curl", "Cookie: a=2"}, FitNone},
		"for another client":                 {[]string{asked[0], "User-Agent: curl", "X-Forwarded-For: 10.1.2.3, 10.9.9.9"}, FitNone},
		"another method":                     {[]string{"POST /shop/cart?id=5 HTTP/1.1", "User-Agent: curl"}, FitNone},
		"another query":                      {[]string{"GET /shop/cart?id=6 HTTP/1.1", "User-Agent: curl"}, FitNone},
		"a call of the server's own, no fit": {[]string{"GET /health HTTP/1.1"}, FitNone},
	} {
		assert.Equal(t, how.want, clue(how.call...).Fits(clue(asked...), client), name)
	}
	assert.Equal(t, FitNone, (*Clue)(nil).Fits(clue(asked...), client))
}

// TestClueIsBounded checks that a clue takes a fixed number of lines, and only
// whole ones, whatever the head is.
func TestClueIsBounded(t *testing.T) {
	many := clue(append([]string{"GET / HTTP/1.1"}, strings.Split(strings.Repeat("A: b\n", 100), "\n")...)...)
	assert.Equal(t, clueLines, many.n)
	assert.Nil(t, NewClue([]byte("\x01\x02")))
	assert.Nil(t, NewClue(nil))
	assert.Zero(t, NewClue([]byte("GET /a HTTP/1.1\r\nCookie: cut in the mid")).n)
	assert.NotNil(t, NewClue([]byte("GET /"+strings.Repeat("a", 400))))
}

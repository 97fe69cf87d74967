package protocol

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/text"
	"lapwing/tools/fuzzing"
)

func TestPath(t *testing.T) {
	for sent, want := range map[string]string{
		"":                                  "",
		"/":                                 "/",
		"/shop/cart":                        "/shop/cart",
		"/shop/cart;jsessionid=1A2B":        "/shop/cart",
		"/shop;v=1/cart;jsessionid=1A2B":    "/shop/cart",
		"/a;x/b;y=1;z=2/c":                  "/a/b/c",
		"/a;x/b;y/":                         "/a/b/",
		"/;jsessionid=1A2B/x":               "//x",
		"/a/;x=1/b":                         "/a//b",
		";x":                                "",
		"/a;":                               "/a",
		"/a;;;/b":                           "/a/b",
		"/a%3Bx/b":                          "/a%3Bx/b", // an encoded semicolon is part of the name
		"*":                                 "*",
		"/cut;jsessionid=1A2B" + "\xe2\x82": "/cut",
	} {
		view := []byte(sent)
		assert.Equal(t, want, string(Path(view)), sent)
		assert.Equal(t, sent, string(view), "a view into a record stays what it is")
	}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		Path([]byte("/orders/17/items"))
		Path([]byte("/cart;jsessionid=1A2B"))
	}))
}

func TestLongPath(t *testing.T) {
	path := Path([]byte("/" + strings.Repeat("é", 100_000)))
	require.LessOrEqual(t, len(path), text.MaxPath)
	require.Equal(t, "/"+strings.Repeat("é", 1022)+text.Mark, string(path))
	secret := Path([]byte("/" + strings.Repeat("a;token=secret/", 100_000)))
	require.NotContains(t, string(secret), "secret")
	require.LessOrEqual(t, len(secret), text.MaxPath)
}

func FuzzPath(f *testing.F) {
	f.Add([]byte("/a;b/c;d"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		var path string
		fuzzing.For(len(sent)).Within(t, func() { path = string(withoutParameters(sent)) })
		// A slow but simple version of the same.
		var segments []string
		for segment := range strings.SplitSeq(string(sent), "/") {
			name, _, _ := strings.Cut(segment, ";")
			segments = append(segments, name)
		}
		require.Equal(t, strings.Join(segments, "/"), path)
	})
}

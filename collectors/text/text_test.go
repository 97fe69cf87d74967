package text

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"lapwing/tools/fuzzing"
)

// hostile are names from outside, with the expected results.
var hostile = map[string]string{
	"nginx":                    "nginx",
	"größe-Ω-日本":               "größe-Ω-日本",
	"":                         "",
	"a\x1b[2Jb":                `a\x1b[2Jb`,
	"a\nb\tc\x00\x7f":          `a\x0ab\x09c\x00\x7f`,
	"user\u202egnp.exe":        `user\u202egnp.exe`,
	"a\u2066b\u2069\u061c":     `a\u2066b\u2069\u061c`,
	"\u0085\u009b31m":          `\u0085\u009b31m`,
	"line\u2028separator":      `line\u2028separator`,
	"tag\U000e0041":            `tag\U000e0041`,
	"bad\xff\xfe, cut\xe2\x82": "bad\uFFFD\uFFFD, cut\uFFFD\uFFFD",
}

func TestShow(t *testing.T) {
	for in, want := range hostile {
		require.Equal(t, want, Show(in), "%q", in)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { Show("größe-Ω-日本") }))
}

// TestJSON checks with a JSON parser what was written.
func TestJSON(t *testing.T) {
	for in := range hostile {
		line := AppendJSON(nil, in)
		harmless(t, line)
		var got string
		require.NoError(t, json.Unmarshal(line, &got))
		require.Equal(t, strings.ToValidUTF8(in, "\uFFFD"), replaceRuns(got, in))

		var out bytes.Buffer
		require.NoError(t, json.NewEncoder(JSON(&out)).Encode(map[string]string{in: in}))
		harmless(t, bytes.TrimSuffix(out.Bytes(), []byte("\n")))
		var object map[string]string
		require.NoError(t, json.Unmarshal(out.Bytes(), &object))
		for key, value := range object {
			require.Equal(t, key, value)
			require.Equal(t, got, value)
		}
	}
}

// replaceRuns replaces several U+FFFD in a row by one, as ToValidUTF8 does.
func replaceRuns(s, in string) string {
	if utf8.ValidString(in) {
		return s
	}
	for strings.Contains(s, "\uFFFD\uFFFD") {
		s = strings.ReplaceAll(s, "\uFFFD\uFFFD", "\uFFFD")
	}
	return s
}

// harmless fails if a terminal would act on a part of the text, or would not show
// it.
func harmless(t *testing.T, b []byte) {
	t.Helper()
	require.True(t, utf8.Valid(b), "%q", b)
	for _, r := range string(b) {
		require.True(t, unicode.IsPrint(r), "%q has %U", b, r)
		require.False(t, unicode.Is(unicode.Bidi_Control, r), "%q has %U", b, r)
	}
}

func TestCut(t *testing.T) {
	for in, want := range map[string]string{
		strings.Repeat("a", 16):        strings.Repeat("a", 16),
		strings.Repeat("a", 17):        strings.Repeat("a", 13) + Mark,
		strings.Repeat("é", 9):         strings.Repeat("é", 6) + Mark, // 13 is within a character
		strings.Repeat("😀", 5):         strings.Repeat("😀", 3) + Mark,
		strings.Repeat("\x80", 100000): strings.Repeat("\x80", 9) + Mark,
	} {
		require.Equal(t, want, Cut(in, 16), "%.20q", in)
		require.Equal(t, want, string(Cut([]byte(in), 16)), "%.20q", in)
	}
	require.Equal(t, "", Cut("abcd", 2), "no room for the mark")
	long := bytes.Repeat([]byte("x"), 32)
	Cut(long, 16)
	require.Equal(t, bytes.Repeat([]byte("x"), 32), long, "a view into a record stays what it is")
}

func TestNames(t *testing.T) {
	require.Equal(t, "nginx", Name("nginx", MaxService))
	long := Name(strings.Repeat("A", 120<<10), MaxService)
	require.Equal(t, strings.Repeat("A", 61)+Mark, long)
	for _, piece := range []string{"A", "é", "😀", "\x1b", "\u202e", "\xff", "\U000e0041", "a\x1b"} {
		for _, n := range []int{1, 20, 63, 64, 65, 200, 40000} {
			name := Name(strings.Repeat(piece, n), MaxService)
			require.LessOrEqual(t, len(name), MaxService, "%q", name)
			harmless(t, []byte(name))
			if n >= 65 {
				require.True(t, strings.HasSuffix(name, Mark), "%q", name)
				require.NotRegexp(t, `\\x?.?…|\\[uU].{0,3}…`, name, "half an escape")
			}
		}
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { Name("gunicorn", MaxService) }))
}

func TestJoin(t *testing.T) {
	require.Equal(t, "gunicorn:shop", Join("gunicorn", ":", "shop"))
	a, b := Join(strings.Repeat("s", 1000), ":", "8080"), Join(strings.Repeat("s", 1000), ":", "8081")
	require.NotEqual(t, a, b)
	both := Join(strings.Repeat("s", 1000), ":", strings.Repeat("p", 1000))
	for _, name := range []string{a, b, both} {
		require.LessOrEqual(t, len(name), MaxService)
	}
	require.Contains(t, both, "sss"+Mark+":ppp")
}

func FuzzName(f *testing.F) {
	for in := range hostile {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var name string
		fuzzing.For(len(s)).Within(t, func() { name = Name(s, MaxService) })
		require.LessOrEqual(t, len(name), MaxService)
		harmless(t, []byte(name))
		harmless(t, AppendJSON(nil, s))
	})
}

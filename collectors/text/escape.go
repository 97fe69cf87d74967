package text

import (
	"io"
	"strconv"
	"unicode"
	"unicode/utf8"
)

const digits = "0123456789abcdef"

// plain reports whether a character may be shown as it is. Control characters,
// direction overrides, line separators and invisible marks must not.
func plain(r rune) bool {
	if r < utf8.RuneSelf {
		return ' ' <= r && r <= '~'
	}
	return unicode.IsPrint(r) && !unicode.Is(unicode.Bidi_Control, r)
}

// isPlain reports whether all of s may be shown as it is and is valid UTF-8.
func isPlain(s string) bool {
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			if r, size = utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && size == 1 {
				return false
			}
		}
		if !plain(r) {
			return false
		}
		i += size
	}
	return true
}

// Show replaces each character that must not be shown by an escape, \x1b or \u202e,
// and bytes that are not UTF-8 by U+FFFD. It allocates only if there is something
// to replace.
func Show(s string) string {
	if isPlain(s) {
		return s
	}
	out := make([]byte, 0, len(s)+16)
	for _, r := range s { // range returns U+FFFD for what is not UTF-8
		if plain(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		quoted := strconv.AppendQuoteRuneToASCII(nil, r)
		switch escape := quoted[1 : len(quoted)-1]; {
		case r < utf8.RuneSelf: // one form for all of them, not both \n and \x1b
			out = append(out, '\\', 'x', digits[r>>4], digits[r&15])
		default:
			out = append(out, escape...)
		}
	}
	return string(out)
}

// AppendJSON appends s as a JSON string that a terminal can show. Bytes that are
// not UTF-8 become U+FFFD, so that the line is always valid JSON.
func AppendJSON[S string | []byte](b []byte, s S) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case ' ' <= c && c <= '~':
			b = append(b, c)
		case c < utf8.RuneSelf:
			b = appendUnit(b, rune(c))
		default:
			r, size := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
			b = appendRune(b, r)
			i += size
			continue
		}
		i++
	}
	return append(b, '"')
}

// appendRune appends a character of a JSON string.
func appendRune(b []byte, r rune) []byte {
	if plain(r) {
		return utf8.AppendRune(b, r)
	}
	if r < 0x10000 {
		return appendUnit(b, r)
	}
	r -= 0x10000 // a surrogate pair, as JSON requires
	return appendUnit(appendUnit(b, 0xd800+r>>10), 0xdc00+r&0x3ff)
}

// appendUnit appends \uXXXX.
func appendUnit(b []byte, r rune) []byte {
	return append(b, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// JSON returns a writer for the output of encoding/json. It escapes characters that
// encoding/json does not escape and that control a terminal. Such characters occur
// only in the strings of a JSON text. A character must not be split between two
// writes.
func JSON(w io.Writer) io.Writer { return jsonWriter{w} }

type jsonWriter struct{ w io.Writer }

// Write implements io.Writer. Line breaks and tabs between values stay unchanged.
func (j jsonWriter) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p)+16)
	for i := 0; i < len(p); {
		if c := p[i]; c < utf8.RuneSelf && c != 0x7f {
			out = append(out, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(p[i:])
		out = appendRune(out, r)
		i += size
	}
	if _, err := j.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

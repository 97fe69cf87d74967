package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"lapwing/collectors/service"
)

// The output formats of Trace and RunTop. An empty format is FormatText.
const (
	FormatText = "text" // for people
	FormatJSON = "json" // one object per line
)

// CheckFormat returns an error for a format that is neither text nor json.
func CheckFormat(format string) error {
	switch format {
	case "", FormatText, FormatJSON:
		return nil
	}
	return fmt.Errorf("unknown format %q: use %s or %s", format, FormatText, FormatJSON)
}

// unknownWidth is the width of text, in cells, if the width of the output is
// unknown. A file or a pipe has room for every column.
const unknownWidth = 160

// units are the units of time in text. Each is used for values below 1000.
var units = [...]struct {
	size time.Duration
	name string
	full float64 // at this value and above, the next unit is easier to read
}{
	{time.Nanosecond, "ns", 1000},
	{time.Microsecond, "µs", 1000},
	{time.Millisecond, "ms", 1000},
	{time.Second, "s", 1000},
	{time.Minute, "m", 1000},
	{time.Hour, "h", math.Inf(1)},
}

// appendDuration writes d rounded to the given number of significant digits,
// with more only before the decimal point: 830ns, 1.23ms, 101ms, 12.3s. It
// takes at most digits+3 cells (5 for two digits), up to 999 hours.
func appendDuration(b []byte, d time.Duration, digits int) []byte {
	for _, u := range units {
		decimals := digits - 1
		if u.size == time.Nanosecond {
			decimals = 0
		}
		value, decimals := round(float64(d)/float64(u.size), decimals)
		if value < u.full {
			b = strconv.AppendFloat(b, value, 'f', decimals, 64)
			return append(b, u.name...)
		}
	}
	return b // unreachable: no value reaches the limit of the last unit
}

// round rounds v to at most decimals+1 significant digits, but keeps all its
// integer digits. It returns the number of decimals that remain.
func round(v float64, decimals int) (float64, int) {
	most := math.Pow10(decimals + 1)
	for ; decimals > 0; decimals-- {
		scale := math.Pow10(decimals)
		if scaled := math.Round(v * scale); scaled < most {
			return scaled / scale, decimals
		}
	}
	return math.Round(v), 0
}

// duration is appendDuration with three digits, as a string.
func duration(d time.Duration) string { return string(appendDuration(nil, d, 3)) }

// ellipsis marks text that was cut. It takes one cell.
const ellipsis = "…"

// narrow measures runes as terminals outside East Asian locales do, regardless
// of the agent's own locale.
var narrow = &runewidth.Condition{}

// printable returns the rune to show for r, and its width in cells. Bytes from
// the network can contain escape sequences, direction overrides and invisible
// marks. None of them must reach the terminal.
func printable(r rune) (rune, int) {
	if ' ' <= r && r <= '~' {
		return r, 1
	}
	if r == utf8.RuneError || !unicode.IsPrint(r) {
		return utf8.RuneError, 1
	}
	if cells := narrow.RuneWidth(r); cells > 0 {
		return r, cells
	}
	return utf8.RuneError, 1
}

// appendText writes the part of s that fits into the given number of cells,
// made printable, and returns the number of cells used.
func appendText[S string | []byte](b []byte, s S, most int) ([]byte, int) {
	if most <= 0 {
		return b, 0
	}
	cells, cut, cutCells := 0, len(b), 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(string(s[i:min(len(s), i+utf8.UTFMax)]))
		i += size
		r, wide := printable(r)
		if cells+wide > most {
			return append(b[:cut], ellipsis...), cutCells + 1
		}
		b = utf8.AppendRune(b, r)
		cells += wide
		if cells < most {
			cut, cutCells = len(b), cells
		}
	}
	return b, cells
}

// appendLeft writes s, made printable, and pads it to width cells.
func appendLeft[S string | []byte](b []byte, s S, width int) []byte {
	b, cells := appendText(b, s, width)
	return appendSpaces(b, width-cells)
}

// appendName writes the name of a service. If it is too long, the name of the
// pool is kept: gunicorn:shop and gunicorn:blog differ at the end.
func appendName(b []byte, name string, width int) []byte {
	at := strings.LastIndex(name, service.PoolSep)
	if at <= 0 || utf8.RuneCountInString(name) <= width {
		return appendLeft(b, name, width)
	}
	pool := name[at:]
	if room := width - 1 - utf8.RuneCountInString(pool); room > 0 {
		return appendLeft(b, string([]rune(name)[:room])+ellipsis+pool, width)
	}
	return appendLeft(b, ellipsis+pool[len(service.PoolSep):], width)
}

// appendRight writes s, made printable, right-aligned in width cells.
func appendRight[S string | []byte](b []byte, s S, width int) []byte {
	var scratch [64]byte
	text, cells := appendText(scratch[:0], s, width)
	return append(appendSpaces(b, width-cells), text...)
}

func appendSpaces(b []byte, n int) []byte {
	for ; n > 0; n-- {
		b = append(b, ' ')
	}
	return b
}

package text

import "unicode/utf8"

// The most bytes of each kind of string, with the mark of what is cut.
const (
	MaxService   = 64 // of a service, with the name of its pool
	MaxPool      = 32 // of that, the name of the pool
	MaxName      = 64 // of containers, units, commands, applications
	MaxSocket    = 108
	MaxPath      = 2 << 10
	MaxQuery     = 2 << 10
	MaxHost      = 255
	MaxUserAgent = 512
	// MaxTraceState is what the Trace Context standard asks to be carried.
	MaxTraceState = 512
)

// Mark stands at the end of what was cut.
const Mark = "…"

// Cut returns s if it has at most that many bytes, else as much of it as fits
// beside the mark, up to the end of a character. It never changes s itself.
func Cut[S string | []byte](s S, most int) S {
	if len(s) <= most {
		return s
	}
	if most < len(Mark) {
		return s[:0]
	}
	kept := most - len(Mark)
	for back := 0; back < utf8.UTFMax && kept > 0 && !utf8.RuneStart(s[kept]); back++ {
		kept--
	}
	cut := make([]byte, 0, kept+len(Mark))
	return S(append(append(cut, s[:kept]...), Mark...))
}

// Name makes a name of what somebody else chose: valid, without characters that
// cannot be shown, and no longer than that. Most names stay as they are, which
// allocates nothing.
func Name(s string, most int) string {
	// An escape is longer than what it stands for: what is beyond the limit
	// can be left alone.
	return cutEscaped(Show(Cut(s, max(most, len(Mark))+utf8.UTFMax)), most)
}

// cutEscaped cuts what Show returned without leaving half an escape.
func cutEscaped(s string, most int) string {
	if len(s) <= most {
		return s
	}
	kept, next := 0, 0
	for next <= most-len(Mark) {
		kept = next
		next += unit(s[next:])
	}
	return s[:kept] + Mark
}

// unit is the length of the first character, or of the escape that stands for it.
func unit(s string) int {
	if len(s) >= 2 && s[0] == '\\' {
		for kind, size := range map[byte]int{'x': 4, 'u': 6, 'U': 10} {
			if s[1] == kind && len(s) >= size {
				return size
			}
		}
	}
	_, size := utf8.DecodeRuneInString(s)
	return size
}

// Join puts the name of a pool after that of its service. Both stay readable
// where together they are too long.
func Join(service, sep, pool string) string {
	pool = Name(pool, MaxPool)
	return Name(service, MaxService-len(sep)-len(pool)) + sep + pool
}

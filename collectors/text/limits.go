package text

import "unicode/utf8"

// The maximum length of each kind of string in bytes, including the mark of a cut.
const (
	MaxService   = 64 // of a service, including the name of its pool
	MaxPool      = 32 // of the name of the pool in that
	MaxName      = 64 // of containers, units, commands, applications
	MaxSocket    = 108
	MaxPath      = 2 << 10
	MaxQuery     = 2 << 10
	MaxHost      = 255
	MaxUserAgent = 512
	// MaxTraceState is the length that the Trace Context standard asks to
	// propagate.
	MaxTraceState = 512
)

// Mark is the end of a string that was cut.
const Mark = "…"

// Cut returns s if it is not longer than most bytes. Otherwise it returns the start
// of s, up to the end of a character, followed by Mark. It never changes s itself.
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

// Name returns a valid name for a string from outside: without characters that
// cannot be shown, and not longer than most bytes. Most strings are returned
// unchanged, without an allocation.
func Name(s string, most int) string {
	// An escape is longer than its character, so what is beyond the limit can be
	// dropped first.
	return cutEscaped(Show(Cut(s, max(most, len(Mark))+utf8.UTFMax)), most)
}

// cutEscaped cuts a result of Show without cutting an escape in half.
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

// unit returns the length of the first character, or of the escape for it.
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

// Join appends the name of a pool to the name of its service. If they are too long
// together, both are cut but stay readable.
func Join(service, sep, pool string) string {
	pool = Name(pool, MaxPool)
	return Name(service, MaxService-len(sep)-len(pool)) + sep + pool
}

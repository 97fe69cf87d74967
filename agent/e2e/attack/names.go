package attack

import (
	"math/rand/v2"
	"strings"
)

// crafted are names that look like those of others, that control a terminal, or
// that break the format they are written into.
var crafted = []string{
	"nginx", "httpd", "apache2", "gunicorn: master [app]", "php-fpm: pool www", "uwsgi", "victim-nginx ", "",
	"\x1b[2J\x1b]0;owned\x07", "\u202egpj.x", "\u2066a\u2069", "\xff\xfe\x80", "a\nb", "x\"} 1\nlapwing_requests 7\n",
	`{"service":"x"}`, "..", "%s%n", "é\u0301", "\u009b31m", "; reboot",
}

// Programs are the file names from which programs are started.
var Programs = []string{"httpd", "nginx", "uwsgi", "php-fpm8.2", "ruby", "x\x1b[2Jy", "\u202egpj", "a\"b\\c", strings.Repeat("x", 255)}

// maxArgument is almost the kernel's limit of one argument, in bytes.
const maxArgument = 120 << 10

// Argument returns a random hostile argv[0].
func Argument(rng *rand.Rand) string {
	name := crafted[rng.IntN(len(crafted))]
	switch rng.IntN(6) {
	case 0:
		if name == "" {
			name = "A"
		}
		return strings.Repeat(name, maxArgument/len(name))
	case 1:
		return noise(rng, 1+rng.IntN(200))
	}
	return name
}

// noise returns an argument of random bytes.
func noise(rng *rand.Rand, size int) string {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(1 + rng.IntN(255))
	}
	return string(b)
}

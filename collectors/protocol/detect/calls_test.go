package detect

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCallsAreTold(t *testing.T) {
	for data, want := range map[string]string{
		"Q\x00\x00\x00\x0dSELECT 1\x00":                "postgres",
		"P\x00\x00\x00\x10\x00SELECT $1\x00\x00\x00":   "postgres",
		"\x00\x00\x00\x08\x04\xd2\x16\x2f":             "postgres",
		"\x00\x00\x00\x0d\x00\x03\x00\x00user\x00":     "postgres",
		"\x09\x00\x00\x00\x03SELECT 1":                 "mysql",
		"*2\r\n$3\r\nGET\r\n$1\r\na\r\n":               "redis",
		"":                                             "",
		"Quit\r\n and something else":                  "",
		"*nothing\r\n$":                                "",
		"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00": "",
		"get key\r\n":                                  "",
		"\x09\x00\x00\x00\x03SELECT 12":                "",
	} {
		assert.Equal(t, want, Call([]byte(data), uint64(len(data))), "%q", data)
	}
}

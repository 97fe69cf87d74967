package request

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestEndOfACall(t *testing.T) {
	assert.Equal(t, Stamp(9), (&Call{Start: 1, SentLast: 5, GotLast: 9, Closed: 20}).End(), "the answer, not the close")
	assert.Equal(t, Stamp(20), (&Call{Start: 1, SentLast: 5, Closed: 20}).End())
	assert.True(t, (&Call{Status: 404}).Failed())
	assert.False(t, (&Call{Status: 302}).Failed())
}

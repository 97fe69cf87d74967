package config

import (
	"encoding"
	"fmt"

	"github.com/docker/go-units"
)

// Bytes is a size in bytes. Its text form uses binary units: 8MiB, 64KiB.
type Bytes int64

var _ encoding.TextUnmarshaler = (*Bytes)(nil)

// UnmarshalText reads a size with or without a unit; all units are binary.
func (b *Bytes) UnmarshalText(text []byte) error {
	n, err := units.RAMInBytes(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a size: use a number with a unit, such as 8MiB", text)
	}
	*b = Bytes(n)
	return nil
}

func (b Bytes) String() string { return units.BytesSize(float64(b)) }

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/github/go-spdx/v2/spdxexp"
	"github.com/google/licensecheck"
)

// allowed are the licences of what is built or linked, by their SPDX names. All
// are permissive except the MPL-2.0, which requires changed files to be
// published: files under it must be unchanged.
var allowed = []string{
	"Apache-2.0",
	"BSD-2-Clause", "BSD-2-Clause-Views", "BSD-3-Clause", "0BSD",
	"BlueOak-1.0.0", // of npm packages that only run in make dashboard-schema
	"ISC",
	"MIT", "MIT-0",
	"MPL-2.0",
}

// reviewed are texts that no program recognises and that a person has read, by
// their SHA-256. A text that changes has to be read again.
var reviewed = map[string]string{
	// libcap/cap and libcap/psx: "one or the other of these two Licenses".
	"18eb30b662ed0abeef6ad6ded90a99b30332418d2f71e63dcb4646bbb23b9acc": "BSD-3-Clause OR GPL-2.0-only",
	"279fa656c62857d42952b86a0789b98669ca1cb4b324a8d9e91397c174af4c14": "BSD-3-Clause OR GPL-2.0-only",
	// goja/ftoa, from netlib: Lucent permits what the ISC licence permits, in
	// other words.
	"eb4df27f95a096a23d88e567331a4bee5590d22185942a1b0456197e29d03e59": "ISC",
}

// covered is the share of a text that known licences must cover, in percent.
const covered = 75

// identify returns the licences in a text, as an SPDX expression.
func identify(text []byte) (expression string, err error) {
	sum := sha256.Sum256(text)
	if known, ok := reviewed[hex.EncodeToString(sum[:])]; ok {
		return known, nil
	}
	found := licensecheck.Scan(text)
	var names []string
	for _, m := range found.Match {
		if !slices.Contains(names, m.ID) {
			names = append(names, m.ID)
		}
	}
	expression = strings.Join(names, " AND ")
	if found.Percent < covered {
		return expression, fmt.Errorf("%.0f%% of the text is a known licence: %x", found.Percent, sum)
	}
	return expression, nil
}

// judge returns why an SPDX expression is not allowed.
func judge(expression string) error {
	if expression == "" {
		return errors.New("names no licence")
	}
	ok, err := spdxexp.Satisfies(expression, allowed)
	if err != nil {
		return fmt.Errorf("licence %q: %w", expression, err)
	}
	if !ok {
		return fmt.Errorf("%s is not allowed", expression)
	}
	return nil
}

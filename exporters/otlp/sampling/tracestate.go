package sampling

import (
	"bytes"
	"strconv"
	"strings"
)

// A tracestate is a list of members of vendors, "ot=th:8;rv:…,other=…". The ot
// member is OpenTelemetry's own: th is the sampling threshold, rv a source of
// randomness that replaces the trace identifier.

const rvDigits = randomBits / 4

// stateRandomness returns the rv of a tracestate. It does not allocate.
func stateRandomness(state []byte) (uint64, bool) {
	if rv, ok := stateField(state, "rv:"); ok && len(rv) == rvDigits {
		return parseHex(rv)
	}
	return 0, false
}

// stateField returns a field of OpenTelemetry's member.
func stateField(state []byte, name string) ([]byte, bool) {
	for len(state) > 0 {
		var member []byte
		member, state, _ = bytes.Cut(state, []byte(","))
		fields, ok := bytes.CutPrefix(bytes.TrimSpace(member), []byte("ot="))
		if !ok {
			continue
		}
		for len(fields) > 0 {
			var field []byte
			field, fields, _ = bytes.Cut(fields, []byte(";"))
			if len(field) >= len(name) && string(field[:len(name)]) == name {
				return field[len(name):], true
			}
		}
	}
	return nil, false
}

func parseHex(digits []byte) (uint64, bool) {
	v, err := strconv.ParseUint(string(digits), 16, 64)
	return v, err == nil
}

// withThreshold returns state with its sampling threshold replaced. If
// threshold is empty, it returns state unchanged.
func withThreshold(state []byte, threshold string) string {
	if threshold == "" {
		return string(state)
	}
	fields := []string{"th:" + threshold}
	var others []string
	for member := range strings.SplitSeq(string(state), ",") {
		member = strings.TrimSpace(member)
		own, ok := strings.CutPrefix(member, "ot=")
		if !ok {
			if member != "" {
				others = append(others, member)
			}
			continue
		}
		for field := range strings.SplitSeq(own, ";") {
			if field != "" && !strings.HasPrefix(field, "th:") {
				fields = append(fields, field)
			}
		}
	}
	// The changed member goes first, as the Trace Context standard requires.
	return strings.Join(append([]string{"ot=" + strings.Join(fields, ";")}, others...), ",")
}

// stateChance returns the probability that corresponds to the sampling
// threshold of a tracestate, 0 if it has none. It does not allocate.
func stateChance(state []byte) float64 {
	digits, ok := stateField(state, "th:")
	if !ok || len(digits) == 0 || len(digits) > rvDigits {
		return 0
	}
	v, ok := parseHex(digits)
	if !ok {
		return 0
	}
	v <<= 4 * uint(rvDigits-len(digits))
	return float64(1<<randomBits-v) / (1 << randomBits)
}

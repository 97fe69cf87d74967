package metrics

import "math"

// Scale is the resolution of exponential histograms: eight buckets per power of
// two, so a bucket is 9 % wide. The number is OpenTelemetry's scale and
// Prometheus's schema.
const Scale = 3

const perOctave = 1 << Scale

// octave holds the lower bounds of the buckets from 0.5 to 1.
var octave = func() (bounds [perOctave]float64) {
	for i := range bounds {
		bounds[i] = math.Exp2(float64(i)/perOctave - 1)
	}
	return bounds
}()

// guess holds, for each sixteenth of the range from 0.5 to 1, the first bound
// at or after its start. No sixteenth has room for two bounds.
var guess = func() (first [guesses]int) {
	for i := range first {
		for first[i] < perOctave && octave[first[i]] < .5+float64(i)/(2*guesses) {
			first[i]++
		}
	}
	return first
}()

const guesses = 2 * perOctave

// maxIndex is the bucket of the largest value that is distinguished, 2^50.
// Values are seconds or bytes, so larger ones do not occur. It limits the
// memory.
const maxIndex = 50*perOctave - 1

// exponentialIndex returns the bucket of v > 0 in OpenTelemetry's numbering:
// bucket i holds the values above 2^(i/8) and up to 2^((i+1)/8).
func exponentialIndex(v float64) int32 {
	fraction, exponent := math.Frexp(v)
	i := guess[int(fraction*(2*guesses))-guesses]
	if i < perOctave && octave[i] < fraction {
		i++
	}
	return min(int32(i+(exponent-1)*perOctave)-1, maxIndex)
}

// exponential is a histogram whose buckets grow with the values. It holds the
// buckets between the smallest and the largest value, in whole octaves, so it
// only allocates for values outside the range seen so far.
type exponential struct {
	zero   uint64
	offset int32 // index of counts[0]
	counts []uint64
}

func (e *exponential) add(v float64) {
	if v <= 0 {
		e.zero++
		return
	}
	i := exponentialIndex(v)
	if at := int(i - e.offset); at < 0 || at >= len(e.counts) {
		e.grow(i)
	}
	e.counts[i-e.offset]++
}

// grow makes room for index i.
func (e *exponential) grow(i int32) {
	low := i &^ (perOctave - 1)
	high := low + perOctave
	if len(e.counts) == 0 {
		e.offset = low
	}
	low, high = min(low, e.offset), max(high, e.offset+int32(len(e.counts)))
	counts := make([]uint64, high-low)
	copy(counts[e.offset-low:], e.counts)
	e.offset, e.counts = low, counts
}

package prometheus

import (
	"encoding/hex"
	"math"

	client "github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"lapwing/exporters/metrics"
)

var infinity = math.Inf(1)

// maxGap is the longest run of empty buckets that costs less than another span.
const maxGap = 2

// histogram returns a distribution in both forms: with classic buckets, which
// text shows, and with native ones, which protobuf carries as well.
func (p *page) histogram(f *metrics.Family, point *metrics.Point) *dto.Histogram {
	s := p.histograms.Next()
	h := &s.histogram
	s.count, s.sum = point.Count, point.Sum
	h.SampleCount, h.SampleSum = &s.count, &s.sum
	h.CreatedTimestamp = created(&s.created, point)
	h.Bucket = p.classic(h.Bucket[:0], f, point)

	if p.snapshot.Exponential {
		s.schema, s.zero, s.threshold = metrics.Scale, point.Zero, client.DefNativeHistogramZeroThreshold
		h.Schema, h.ZeroCount, h.ZeroThreshold = &s.schema, &s.zero, &s.threshold
		p.native(h, point)
	}
	return h
}

// classic appends the cumulative buckets. The last one counts everything.
func (p *page) classic(buckets []*dto.Bucket, f *metrics.Family, point *metrics.Point) []*dto.Bucket {
	sum := uint64(0)
	for i, n := range point.Classic {
		sum += n
		b := p.buckets.Next()
		b.count = sum
		b.bucket.CumulativeCount, b.bucket.Exemplar = &b.count, nil
		if i < len(f.Bounds) {
			b.bucket.UpperBound = &f.Bounds[i]
		} else {
			b.bucket.UpperBound = &infinity
		}
		if len(point.Exemplars) > 0 {
			b.bucket.Exemplar = p.exemplar(&point.Exemplars[i])
		}
		buckets = append(buckets, &b.bucket)
	}
	return buckets
}

// native sets the spans of buckets that are not empty, and the differences
// between their counts. Prometheus numbers a bucket by its upper bound,
// OpenTelemetry by its lower bound.
func (p *page) native(h *dto.Histogram, point *metrics.Point) {
	h.PositiveSpan, h.PositiveDelta = h.PositiveSpan[:0], h.PositiveDelta[:0]
	var last int64
	gap := point.Offset + 1
	for i, n := range point.Exponential {
		begun := len(h.PositiveSpan) > 0
		if n == 0 && begun && (gap > 0 || longGap(point.Exponential[i:])) {
			gap++
			continue
		}
		if !begun || gap > 0 {
			h.PositiveSpan = append(h.PositiveSpan, p.span(gap))
			gap = 0
		}
		*h.PositiveSpan[len(h.PositiveSpan)-1].Length++
		h.PositiveDelta = append(h.PositiveDelta, int64(n)-last)
		last = int64(n)
	}
}

// longGap reports whether counts start with more empty buckets than are worth
// sending.
func longGap(counts []uint64) bool {
	for i, n := range counts {
		if n != 0 {
			return i > maxGap
		}
	}
	return true
}

func (p *page) span(offset int32) *dto.BucketSpan {
	s := p.spans.Next()
	s.offset, s.length = offset, 0
	s.span.Offset, s.span.Length = &s.offset, &s.length
	return &s.span
}

// exemplar returns a value and its trace, nil if there is none.
func (p *page) exemplar(e *metrics.Exemplar) *dto.Exemplar {
	if !e.At.Seen() {
		return nil
	}
	s := p.exemplars.Next()
	s.value = e.Value
	setTime(&s.at, p.clock.UnixNano(e.At))
	s.exemplar.Value, s.exemplar.Timestamp = &s.value, &s.at
	s.exemplar.Label = []*dto.LabelPair{
		{Name: proto.String("span_id"), Value: proto.String(hex.EncodeToString(e.SpanID[:]))},
		{Name: proto.String("trace_id"), Value: proto.String(hex.EncodeToString(e.TraceID[:]))},
	}
	return &s.exemplar
}

package prometheus

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"lapwing/collectors/request"
	"lapwing/exporters/health"
	"lapwing/exporters/metrics"
)

// finished returns a request of 1.5 s: 100 ms queue, 100 ms parse, 1.2 s app,
// 100 ms write_back.
func finished(service, route string, status int) *request.Request {
	const ms = request.Stamp(time.Millisecond)
	begin := request.Now() - 5000*ms
	return &request.Request{
		Stamps: request.Stamps{Accepted: begin, Arrived: begin, ReadFirst: begin + 100*ms, ReadLast: begin + 200*ms,
			WriteFirst: begin + 1400*ms, WriteLast: begin + 1500*ms},
		Seq: 1, RequestBytes: 10, ResponseBytes: 20, Service: service, Protocol: "http/1.1", Method: "GET", Status: status, Route: route,
		TraceID: [16]byte{0xab}, SpanID: [8]byte{0xcd},
	}
}

// full returns an aggregator with a point in every family.
func full() *metrics.Aggregator {
	a := metrics.New(metrics.DefaultConfig())
	a.AddSource(metrics.Health(func() health.Health {
		h := health.Health{}
		for _, c := range health.Table {
			h[c] = health.Counts{{"127.0.0.1:80", "late"}: 3}
		}
		h[health.Lost] = health.By(map[string]uint64{"ring_full": 3})
		return h
	}))
	a.AddSource(metrics.SourceFunc(func(s *metrics.Snapshot) {
		for _, f := range metrics.Families() {
			if f.Kind != metrics.KindHistogram && !strings.HasPrefix(f.Name, "lapwing.agent.") {
				s.Add(f, "shop", time.Now(), 2)
			}
		}
	}))
	for range 4 {
		r := finished("shop\xff", "/orders/{id}", 200)
		r.Detail = heads{10, 20}
		a.Export(r)
		a.Remember(r)
	}
	a.Export(finished("search", "", 503))
	return a
}

type heads struct{ request, response int }

func (h heads) HeadSizes() (int, int) { return h.request, h.response }
func (h heads) Clone() request.Detail { return h }

func serve(t *testing.T, c Config, a *metrics.Aggregator) (url string, log *bytes.Buffer) {
	t.Helper()
	log = new(bytes.Buffer)
	if c.Listen == "" {
		c.Listen = free(t)
	}
	s, err := Listen(c, a.Read, request.NewClock(), slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Shutdown(context.Background())) })
	return "http://" + s.Address().String(), log
}

func free(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func get(t *testing.T, url, accept string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header.Set("Accept", accept)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func TestText(t *testing.T) {
	url, log := serve(t, Config{}, full())
	status, text := get(t, url+"/metrics", "text/plain")
	assert.Equal(t, http.StatusOK, status)
	labels := "http_request_method=\"GET\",http_response_status_code=\"200\",http_route=\"/orders/{id}\",network_protocol_version=\"1.1\""
	for _, line := range []string{
		"http_server_request_duration_seconds_sum{" + labels + ",service_name=\"shop\uFFFD\",url_scheme=\"http\"} 6",
		"http_server_request_duration_seconds_bucket{" + labels + ",service_name=\"shop\uFFFD\",url_scheme=\"http\",le=\"2.5\"} 4",
		"http_server_request_duration_seconds_bucket{" + labels + ",service_name=\"shop\uFFFD\",url_scheme=\"http\",le=\"1\"} 0",
		"lapwing_request_phase_duration_seconds_sum{" + labels + ",phase=\"app\",service_name=\"shop\uFFFD\",url_scheme=\"http\"} 4.8",
		"lapwing_agent_requests_lost_total{cause=\"ring_full\"} 3",
		"process_threads{service_name=\"shop\"} 2",
	} {
		assert.True(t, strings.Contains(text, line+"\n"), "no line %s", line)
	}
	assert.NotContains(t, text, "trace_id")
	assert.Contains(t, log.String(), "metrics are served")
	_, text = get(t, url+"/", "")
	assert.Contains(t, text, "/metrics")
	status, _ = get(t, url+"/other", "")
	assert.Equal(t, http.StatusNotFound, status)
}

func TestOpenMetricsHasExemplars(t *testing.T) {
	url, _ := serve(t, Config{}, full())
	_, text := get(t, url+"/metrics", "application/openmetrics-text; version=1.0.0")
	exemplar := regexp.MustCompile(`http_server_request_duration_seconds_bucket{.*le="2.5"} 4 # {span_id="cd00000000000000",trace_id="ab000000000000000000000000000000"} 1.5 \d`)
	assert.True(t, exemplar.MatchString(text), "no exemplar")
	assert.True(t, strings.HasSuffix(text, "# EOF\n"))
}

// TestRegistryAgrees runs client_golang's own checks on every family: names are
// unique, labels are sorted and valid, buckets are consistent.
func TestRegistryAgrees(t *testing.T) {
	g := newGatherer(full().Read, request.NewClock(), true, new(leftOut))
	families, done, err := g.Gather()
	require.NoError(t, err)
	defer done()
	assert.Len(t, families, len(metrics.Families()), "one per metric")
	problems, err := testutil.GatherAndLint(client.Gatherers{client.GathererFunc(func() ([]*dto.MetricFamily, error) { return families, nil })})
	require.NoError(t, err)
	assert.Empty(t, problems)
}

func TestNativeBucketsAddUp(t *testing.T) {
	a := metrics.New(metrics.DefaultConfig())
	for i := range 40 {
		r := finished("shop", "", 200)
		r.WriteLast += request.Stamp(i*i*i) * request.Stamp(time.Millisecond)
		a.Export(r)
	}
	g := newGatherer(a.Read, request.NewClock(), true, new(leftOut))
	for range 2 { // the second time in reused memory
		families, done, err := g.Gather()
		require.NoError(t, err)
		for _, f := range families {
			for _, m := range f.Metric {
				if h := m.Histogram; h != nil {
					checkNative(t, f.GetName(), h)
				}
			}
		}
		done()
	}
}

// checkNative decodes the spans as Prometheus does, and compares every bucket
// with the classic ones.
func checkNative(t *testing.T, name string, h *dto.Histogram) {
	t.Helper()
	index, count, total, next := int32(0), int64(0), h.GetZeroCount(), 0
	below := map[float64]uint64{} // number of values up to each bound of a native bucket
	for _, span := range h.PositiveSpan {
		index += span.GetOffset()
		for range span.GetLength() {
			count += h.PositiveDelta[next]
			next++
			total += uint64(count)
			below[float64(index)] = total
			index++
		}
	}
	assert.Equal(t, len(h.PositiveDelta), next, name)
	assert.Equal(t, h.GetSampleCount(), total, name)
	assert.Equal(t, h.GetSampleCount(), h.Bucket[len(h.Bucket)-1].GetCumulativeCount(), name)
	for i, b := range h.Bucket { // bounds that both kinds of buckets have
		if b.GetUpperBound() == 1 && i > 0 {
			want := h.GetZeroCount()
			for index, n := range below {
				if index <= 0 {
					want = max(want, n)
				}
			}
			assert.Equal(t, b.GetCumulativeCount(), want, name)
		}
	}
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, err = Listen(Config{Listen: l.Addr().String()}, nil, nil, slog.Default())
	require.Error(t, err)
	assert.Equal(t, fmt.Sprintf("listen %s: the port is already used by prometheus.test (process %d): stop it, or use another port",
		l.Addr(), os.Getpid()), err.Error())
}

func TestNoSuchAddress(t *testing.T) {
	_, err := Listen(Config{Listen: "192.0.2.1:9464"}, nil, nil, slog.Default())
	assert.ErrorContains(t, err, "this host does not have this address")
}

func TestLoopbackByDefault(t *testing.T) {
	at, err := Config{Listen: ":9464"}.address()
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:9464", at)
}

func TestOpenToTheNetworkIsWarnedOf(t *testing.T) {
	_, port, _ := net.SplitHostPort(free(t))
	_, log := serve(t, Config{Listen: "0.0.0.0:" + port}, full())
	assert.Contains(t, log.String(), "open to the network")
}

func TestBasicAuth(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("sesame\n"), 0o600))
	url, _ := serve(t, Config{BasicAuth: BasicAuth{"prom", file}}, full())
	for userinfo, want := range map[string]int{"": 401, "prom:sesame@": 200, "prom:sesam@": 401, "other:sesame@": 401} {
		status, _ := get(t, strings.Replace(url, "//", "//"+userinfo, 1)+"/metrics", "")
		assert.Equal(t, want, status, userinfo)
	}
}

func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	url, _ := serve(t, Config{TLS: TLS{Cert: cert, Key: key, ClientCA: cert}}, full())
	url = strings.Replace(url, "http:", "https:", 1) + "/metrics"
	raw, err := os.ReadFile(cert)
	require.NoError(t, err)
	conf := &tls.Config{RootCAs: x509.NewCertPool()}
	require.True(t, conf.RootCAs.AppendCertsFromPEM(raw))
	ask := func() error {
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: conf}}
		res, err := c.Get(url)
		if err == nil {
			_ = res.Body.Close()
		}
		return err
	}
	assert.Error(t, ask(), "without a client certificate")
	pair, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(t, err)
	conf = conf.Clone()
	conf.Certificates = []tls.Certificate{pair}
	assert.NoError(t, ask())
}

// certificate creates a certificate for 127.0.0.1 that is its own authority.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(secret)
	require.NoError(t, err)
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}

func TestBadFilesNameTheirKey(t *testing.T) {
	cert, key := certificate(t)
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for want, c := range map[string]Config{
		"tls.cert, tls.key":        {TLS: TLS{Cert: key, Key: cert}},
		"tls.client_ca":            {TLS: TLS{Cert: cert, Key: key, ClientCA: key}},
		"basic_auth.password_file": {BasicAuth: BasicAuth{"prom", empty}},
	} {
		c.Listen = "127.0.0.1:9464"
		_, err := Listen(c, nil, nil, slog.Default())
		assert.ErrorContains(t, err, want)
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	for want, c := range map[string]Config{
		"listen":        {Listen: "localhost"},
		"listen ":       {Listen: "localhost:http"},
		"tls ":          {TLS: TLS{Cert: "a"}},
		"tls.client_ca": {TLS: TLS{ClientCA: "a"}},
		"basic_auth ":   {BasicAuth: BasicAuth{Username: "a"}},
	} {
		err := c.Validate()
		require.Error(t, err)
		assert.True(t, strings.HasPrefix(err.Error(), want), err)
	}
	assert.NoError(t, Config{Listen: "[::1]:9464"}.Validate())
}

func TestScrapingUsesItsMemoryAgain(t *testing.T) {
	a := metrics.New(metrics.DefaultConfig())
	for i := range 100 {
		r := finished("shop", fmt.Sprint("/", i), 200)
		a.Export(r)
	}
	g := newGatherer(a.Read, request.NewClock(), true, new(leftOut))
	scrape := func() {
		_, done, _ := g.Gather()
		done()
	}
	scrape()
	assert.Less(t, testing.AllocsPerRun(5, scrape), 1000.0, "for more than 600 histograms")
}

// BenchmarkScrape measures one scrape of 500 label sets as text.
func BenchmarkScrape(b *testing.B) {
	a := metrics.New(metrics.DefaultConfig())
	for i := range 500 {
		r := finished(fmt.Sprint("service ", i%20), fmt.Sprint("/", i), 200)
		r.Detail = heads{5, 5}
		a.Export(r)
	}
	handler, err := Config{Listen: "127.0.0.1:9464"}.handler(a.Read, request.NewClock())
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		handler.ServeHTTP(nowhere{http.Header{}}, r)
	}
}

// nowhere is a response writer that discards everything.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) WriteHeader(int)             {}

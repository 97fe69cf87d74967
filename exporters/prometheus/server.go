package prometheus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lapwing/collectors/request"
	"lapwing/exporters/metrics"
)

// The limits on what scrapers can ask of the agent.
const (
	maxScrapes    = 4 // at the same time; others are told to try again later
	headerTimeout = 5 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 16 << 10 // bytes
)

// Server serves metrics until Shutdown.
type Server struct {
	http    *http.Server
	address net.Addr
	log     *slog.Logger
	done    chan struct{}
}

// Listen starts to serve the snapshots of read. The clock dates exemplars. An
// error names the wrong key, or the process that uses the port.
func Listen(c Config, read func(*metrics.Snapshot), clock *request.Clock, log *slog.Logger) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	address, err := c.address()
	if err != nil {
		return nil, err
	}
	handler, err := c.handler(read, clock)
	if err != nil {
		return nil, err
	}
	conf, err := c.TLS.load()
	if err != nil {
		return nil, err
	}
	listener, err := listen(address)
	if err != nil {
		return nil, listenError(address, err)
	}
	s := &Server{http: newHTTPServer(handler), address: listener.Addr(), log: log, done: make(chan struct{})}
	s.announce(c)
	if conf != nil {
		listener = tls.NewListener(listener, conf)
	}
	go s.serve(listener)
	return s, nil
}

// Address returns the address on which the server listens.
func (s *Server) Address() net.Addr { return s.address }

// Shutdown waits for scrapes in progress, within ctx, and closes the port.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	return err
}

func (s *Server) serve(l net.Listener) {
	defer close(s.done)
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("metrics are not served any more", "address", s.address.String(), "error", err)
	}
}

// announce logs the address. It warns if everyone who can reach it may read.
func (s *Server) announce(c Config) {
	tcp, ok := s.address.(*net.TCPAddr)
	if open := c.TLS.ClientCA == "" && c.BasicAuth == (BasicAuth{}); ok && !tcp.IP.IsLoopback() && open {
		s.log.Warn("metrics are open to the network: set basic_auth or tls.client_ca, or listen on 127.0.0.1", "address", s.address.String())
		return
	}
	s.log.Info("metrics are served", "address", s.address.String(), "path", metricsPath)
}

const metricsPath = "/metrics"

func newHTTPServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		// Errors of clients are not events of the agent.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
}

func (c Config) handler(read func(*metrics.Snapshot), clock *request.Clock) (http.Handler, error) {
	opts := promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: maxScrapes, DisableCompression: c.local()}
	left := &leftOut{since: time.Now()}
	text := promhttp.HandlerForTransactional(newGatherer(read, clock, false, left), opts)
	native := promhttp.HandlerForTransactional(newGatherer(read, clock, true, left), opts)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+metricsPath, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "application/vnd.google.protobuf") {
			native.ServeHTTP(w, r)
			return
		}
		text.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "Lapwing. The metrics are at "+metricsPath+".\n")
	})
	return c.BasicAuth.guard(mux)
}

// inherited returns the sockets that systemd opened for the process
// (lapwing.socket). They can be in a network that the process is not in.
var inherited = sync.OnceValues(activation.Listeners)

// listen returns the socket that systemd opened for the address, or opens one.
func listen(address string) (net.Listener, error) {
	opened, err := inherited()
	if err != nil {
		return nil, fmt.Errorf("use the sockets passed by systemd: %w", err)
	}
	for _, l := range opened {
		if l != nil && l.Addr().String() == address {
			return l, nil
		}
	}
	return net.Listen("tcp", address)
}

// listenError adds which process uses the port, if the port is taken and the
// process can be found.
func listenError(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		if who := owner(address); who != "" {
			return fmt.Errorf("listen %s: the port is already used by %s: stop it, or use another port", address, who)
		}
		return fmt.Errorf("listen %s: the port is already in use: use another port", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("listen %s: this host does not have this address", address)
	}
	return fmt.Errorf("listen %s: %w", address, err)
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

// peer is the process at the other end. It receives what is exported, and
// scrapes.
type peer struct {
	cmd        *exec.Cmd
	in         io.WriteCloser
	out        *bufio.Reader
	http, grpc string
}

func startPeer() (*peer, error) {
	cmd := exec.Command(os.Args[0], "-role", "peer")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &peer{cmd: cmd, in: in, out: bufio.NewReader(out)}
	_, err = fmt.Fscanln(p.out, &p.http, &p.grpc)
	return p, err
}

func (p *peer) stop() {
	_ = p.in.Close()
	_ = p.cmd.Wait() // it ends when its input is closed
}

// scrape makes the peer scrape an address at an interval.
func (p *peer) scrape(address string, every time.Duration) error {
	_, err := fmt.Fprintln(p.in, address, every)
	return err
}

// scraped returns the size of the last scrape.
func (p *peer) scraped() (series, bytes int, err error) {
	if _, err = fmt.Fprintln(p.in, "report", "0s"); err != nil {
		return 0, 0, err
	}
	_, err = fmt.Fscanln(p.out, &series, &bytes)
	return series, bytes, err
}

// runPeer is the code of the peer process.
func runPeer() error {
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	rpc, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(web, http.HandlerFunc(discard)) }()
	server := grpc.NewServer()
	coltracepb.RegisterTraceServiceServer(server, taker{})
	go func() { _ = server.Serve(rpc) }()
	fmt.Printf("http://%s http://%s\n", web.Addr(), rpc.Addr())
	return new(scraper).obey(os.Stdin)
}

func discard(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }

type taker struct {
	coltracepb.UnimplementedTraceServiceServer
}

func (taker) Export(context.Context, *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	return new(coltracepb.ExportTraceServiceResponse), nil
}

// scraper scrapes like Prometheus.
type scraper struct {
	series, bytes chan int
}

func (s *scraper) obey(in io.Reader) error {
	s.series, s.bytes = make(chan int, 1), make(chan int, 1)
	for {
		var address, every string
		if _, err := fmt.Fscanln(in, &address, &every); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		} else if err != nil {
			return err
		}
		if address == "report" {
			fmt.Println(<-s.series, <-s.bytes)
			continue
		}
		interval, err := time.ParseDuration(every)
		if err != nil {
			return err
		}
		go s.scrape(address, interval)
	}
}

func (s *scraper) scrape(address string, every time.Duration) {
	for ; ; time.Sleep(every) {
		req, _ := http.NewRequest(http.MethodGet, "http://"+address+"/metrics", nil)
		req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
		res, err := http.DefaultClient.Do(req) // requests gzip, as Prometheus does
		if err != nil {
			fmt.Fprintln(os.Stderr, "scrape:", err)
			return
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		keep(s.bytes, len(text))
		keep(s.series, strings.Count(string(text), "\n")-strings.Count(string(text), "\n#"))
	}
}

// keep replaces the value that waits in c with v.
func keep(c chan int, v int) {
	select {
	case <-c:
	default:
	}
	c <- v
}

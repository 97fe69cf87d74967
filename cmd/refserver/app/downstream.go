package app

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"lapwing/cmd/refserver/sock"
)

// downstreamTimeout limits each step of a call to another server.
const downstreamTimeout = 30 * time.Second

// downstream makes one blocking call to another server and reports the result.
// The other server gets the same request id.
func (a *App) downstream(w Writer, r *Request) Pending {
	p := parseParams(r)
	if p.err != nil {
		return p.refuse(w)
	}
	target, err := url.Parse(p.values.Get("url"))
	if err != nil || target.Scheme != "http" || target.Host == "" {
		return text(w, 400, fmt.Sprintf("parameter url=%q is not an http URL, as in ?url=http://127.0.0.1:8081/fast\n", p.values.Get("url")))
	}
	status, size, err := call(target, r.ID)
	if err != nil {
		return text(w, 502, err.Error()+"\n")
	}
	return text(w, 200, fmt.Sprintf("status %d, %d bytes\n", status, size))
}

// call sends a GET request and reads the response to its end. It returns the
// status and the number of bytes received, including the head.
func call(target *url.URL, id []byte) (status int, size int64, err error) {
	fd, err := sock.Dial(hostPort(target), downstreamTimeout)
	if err != nil {
		return 0, 0, err
	}
	defer sock.Close(fd)
	stream := sock.Stream{FD: fd}
	if err := stream.Send(callHead(target, id), nil); err != nil {
		return 0, 0, fmt.Errorf("send the request to %s: %w", target.Host, err)
	}
	var buf [16 << 10]byte
	for {
		n, _, err := sock.Read(fd, buf[:])
		if err != nil {
			return 0, size, fmt.Errorf("read the response of %s: %w", target.Host, err)
		}
		if n == 0 {
			break
		}
		if size == 0 {
			if status, err = statusOf(buf[:n]); err != nil {
				return 0, 0, fmt.Errorf("read the response of %s: %w", target.Host, err)
			}
		}
		size += int64(n)
	}
	if status == 0 {
		return 0, 0, fmt.Errorf("%s closed the connection without a response", target.Host)
	}
	return status, size, nil
}

func hostPort(u *url.URL) string {
	if u.Port() == "" {
		return u.Host + ":80"
	}
	return u.Host
}

func callHead(u *url.URL, id []byte) []byte {
	b := append([]byte("GET "), u.RequestURI()...)
	b = append(append(b, " HTTP/1.1\r\nConnection: close\r\nHost: "...), u.Host...)
	if len(id) > 0 {
		b = append(append(b, "\r\nX-Request-Id: "...), id...)
	}
	return append(b, "\r\n\r\n"...)
}

func statusOf(b []byte) (int, error) {
	rest, ok := bytes.CutPrefix(b, []byte("HTTP/1."))
	if !ok || len(rest) < len("1 200") {
		return 0, errors.New("it is not an HTTP/1 response")
	}
	status, err := strconv.Atoi(string(rest[2:5]))
	if err != nil {
		return 0, errors.New("it has no status")
	}
	return status, nil
}

package gateway

import "lapwing/cmd/refserver/httpio"

// fcgiSink wraps a response into the records of FastCGI's output stream.
type fcgiSink struct {
	sink httpio.Sink
	id   uint16
	buf  []byte
}

var (
	_ httpio.Sink     = (*fcgiSink)(nil)
	_ httpio.Finisher = (*fcgiSink)(nil)
)

// Send implements httpio.Sink.
func (s *fcgiSink) Send(head, body []byte) error {
	s.buf = appendStream(s.buf[:0], fcgiStdout, s.id, head)
	for len(body) > 0 {
		n := min(len(body), fcgiMaxContent)
		if err := s.sink.Send(appendHeader(s.buf, fcgiStdout, s.id, n), body[:n]); err != nil {
			return err
		}
		s.buf, body = s.buf[:0], body[n:]
	}
	if len(s.buf) == 0 {
		return nil
	}
	return s.sink.Send(s.buf, nil)
}

// SendFile implements httpio.Sink.
func (s *fcgiSink) SendFile(fd int, offset, n int64) error {
	for end := offset + n; offset < end; {
		part := min(end-offset, fcgiMaxContent)
		if err := s.sink.Send(appendHeader(s.buf[:0], fcgiStdout, s.id, int(part)), nil); err != nil {
			return err
		}
		if err := s.sink.SendFile(fd, offset, part); err != nil {
			return err
		}
		offset += part
	}
	return nil
}

// Finish implements httpio.Finisher. It sends the last bytes, the end of the
// output stream and the end of the request together.
func (s *fcgiSink) Finish(rest []byte) error {
	b := appendStream(s.buf[:0], fcgiStdout, s.id, rest)
	b = appendHeader(b, fcgiStdout, s.id, 0)
	b = appendHeader(b, fcgiEnd, s.id, 8)
	s.buf = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // exit status 0, request complete
	return s.sink.Send(s.buf, nil)
}

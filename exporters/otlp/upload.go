package otlp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	// errRejected means that the receiver will not accept the batch, even after
	// retries.
	errRejected = errors.New("the receiver rejected the batch")
	// errStopping cuts pauses short when the exporter shuts down.
	errStopping = errors.New("shutting down")
)

// uploader sends batches to one receiver.
type uploader struct {
	client  otlptrace.Client
	timeout time.Duration
	retry   RetryConfig
	failing func(error) // called when an attempt failed and another will follow
}

// upload sends one batch, with retries until it is delivered, rejected or given
// up. When running ends, there are no more pauses, and one last attempt
// decides. When abort ends, that attempt ends too.
func (u *uploader) upload(running, abort context.Context, batch []*tracepb.ResourceSpans) (*reply, error) {
	attempt := func() (*reply, error) { return u.attempt(abort, batch) }
	if running.Err() == nil {
		r, err := backoff.Retry(running, attempt,
			backoff.WithBackOff(u.pauses()),
			backoff.WithMaxElapsedTime(u.retry.MaxElapsed),
			backoff.WithNotify(func(err error, _ time.Duration) { u.failing(err) }),
		)
		if !errors.Is(err, errStopping) {
			return r, err
		}
	}
	r, err := attempt()
	var permanent *backoff.PermanentError
	if errors.As(err, &permanent) {
		err = permanent.Unwrap()
	}
	return r, err
}

func (u *uploader) pauses() backoff.BackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval:     u.retry.InitialInterval,
		MaxInterval:         u.retry.MaxInterval,
		Multiplier:          backoff.DefaultMultiplier,
		RandomizationFactor: backoff.DefaultRandomizationFactor,
	}
}

// attempt sends the batch once. Its error is nil if the receiver accepted the
// batch, even if it refused parts of it.
func (u *uploader) attempt(ctx context.Context, batch []*tracepb.ResourceSpans) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, u.timeout)
	defer cancel()
	ctx, r := withReply(ctx)
	err := u.client.UploadTraces(ctx, batch)
	if err == nil || r.delivered {
		return r, nil
	}
	if errors.Is(err, errTooLarge) {
		return r, backoff.Permanent(err)
	}
	retryable, pause := judge(err, r)
	switch {
	case !retryable:
		return r, backoff.Permanent(fmt.Errorf("%w: %w", errRejected, err))
	case pause > 0:
		return r, fmt.Errorf("%w (%w)", err, &backoff.RetryAfterError{Duration: pause})
	}
	return r, err
}

// judge separates temporary from permanent failures, as listed in the OTLP
// specification, and returns how long the receiver asked to wait.
func judge(err error, r *reply) (retryable bool, pause time.Duration) {
	switch r.httpStatus {
	case 0:
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true, r.retryAfter
	default:
		return false, 0
	}
	if network := new(url.Error); errors.As(err, &network) {
		return true, 0
	}
	if s, ok := status.FromError(err); ok {
		return judgeStatus(s)
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled), 0
}

func judgeStatus(s *status.Status) (retryable bool, pause time.Duration) {
	asked := false
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			asked, pause = true, info.GetRetryDelay().AsDuration()
		}
	}
	switch s.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		return true, pause
	case codes.ResourceExhausted:
		return asked, pause // without a pause, the batch is too large permanently
	}
	return false, 0
}

// Package sidecar is what both Go contenders have in common: flags, the HTTP server, the connection to the decision
// service, and what OpenIM is told when there is no decision.
package sidecar

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
)

// MaxBody is how many bytes a callback may have: the bridge's default.
const MaxBody = 3 << 20

// Folder is where OpenIM posts its callbacks to, as shipped; the command follows.
const Folder = "/callbackExample/"

// Flags are those that every contender of the benchmark takes.
type Flags struct {
	Listen, Upstream string
	// Timeout is from the first byte that the handler sees to the answer.
	Timeout   time.Duration
	cert, key string
}

// Parse reads the flags, and bounds the threads that run Go code to --workers.
func Parse() (Flags, error) {
	var f Flags
	flag.StringVar(&f.Listen, "listen", "127.0.0.1:10006", "`ADDR` to serve on")
	flag.StringVar(&f.Upstream, "upstream", "127.0.0.1:50051", "`ADDR` of the decision service")
	flag.DurationVar(&f.Timeout, "timeout", 4*time.Second, "`TIME` until OpenIM has its answer")
	flag.StringVar(&f.cert, "cert", "", "PEM `FILE` of the certificate chain, for HTTPS")
	flag.StringVar(&f.key, "key", "", "PEM `FILE` of its key")
	workers := flag.Int("workers", 2, "`N` threads that run Go code at one time")
	flag.Parse()
	if (f.cert == "") != (f.key == "") {
		return f, errors.New("--cert and --key go together")
	}
	runtime.GOMAXPROCS(*workers)
	return f, nil
}

// Dial returns the one connection to the decision service, which it begins to open.
func (f Flags) Dial() (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("passthrough:///"+f.Upstream,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableServiceConfig())
	if err != nil {
		return nil, err
	}
	conn.Connect()
	return conn, nil
}

// Serve serves until SIGTERM or SIGINT, then answers what is in flight.
func (f Flags) Serve(handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       f.Timeout + time.Second,
		WriteTimeout:      2*f.Timeout + time.Second,
		// OpenIM does not send a callback again when the connection that it kept was closed.
		IdleTimeout: -1,
	}
	listener, err := net.Listen("tcp", f.Listen)
	if err != nil {
		return err
	}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		if f.cert == "" {
			failed <- server.Serve(listener)
			return
		}
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		failed <- server.ServeTLS(listener, f.cert, f.key)
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("serving %s: %w", f.Listen, err)
	case <-stop.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), f.Timeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return server.Close()
	}
	return nil
}

// Answer is what OpenIM reads.
type Answer struct {
	ActionCode int32  `json:"actionCode"`
	ErrCode    int32  `json:"errCode"`
	ErrMsg     string `json:"errMsg"`
	ErrDlt     string `json:"errDlt"`
	NextCode   int32  `json:"nextCode"`
}

// Allow lets the user's action go on.
func Allow() Answer {
	return Answer{ErrMsg: "Success"}
}

// Refuse lets the user's action fail.
func Refuse(code int32, message, detail string) Answer {
	return Answer{ErrCode: code, ErrMsg: message, ErrDlt: detail, NextCode: 1}
}

// Fallback is what OpenIM is told when the call of the decision service ended so.
func Fallback(code codes.Code) Answer {
	class := int32(9926)
	switch code {
	case codes.DeadlineExceeded, codes.Canceled:
		class = 9920
	case codes.Unavailable:
		class = 9921
	case codes.ResourceExhausted:
		class = 9922
	case codes.Unauthenticated, codes.PermissionDenied:
		class = 9923
	case codes.Unimplemented:
		class = 9924
	}
	return Refuse(class, "The service is busy, please try again later", "")
}

// Write writes the answer.
func (a Answer) Write(w http.ResponseWriter, status int) {
	Write(w, status, a)
}

// Write writes an answer, or one with more fields. An error is not told: the client has gone away.
func Write(w http.ResponseWriter, status int, answer any) {
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err) // of strings and numbers, it cannot fail
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// A decision service for openim-bridge. It refuses remarks that contain a listed word, and trims the others; hides texts
// that contain one; and keeps when users were last online.
package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	bridgev1 "github.com/openim-bridge/openim-bridge/gen/openim/bridge/v1"
)

const (
	// The bridge takes requests of up to 1 MiB unless configured otherwise.
	maxMessageBytes = 2 << 20
	// The bridge asks for health every 2 s. While it finds out that the service stops, calls are still answered.
	drain = 3 * time.Second
	// What then still runs may take this long. No call of the bridge's lasts longer.
	grace = 15 * time.Second
)

type settings struct {
	listen, words, tlsCert, tlsKey, tlsClientCA string
}

// readSettings takes flags over environment variables over defaults.
func readSettings() (settings, error) {
	env := func(name, fallback string) string { return cmp.Or(os.Getenv(name), fallback) }
	var s settings
	flag.StringVar(&s.listen, "listen", env("LISTEN", "127.0.0.1:50051"), "`HOST:PORT` to serve on, port 0 takes a free one [LISTEN]")
	flag.StringVar(&s.words, "words", env("WORDS", "../words.txt"), "`FILE` of words that are refused [WORDS]")
	flag.StringVar(&s.tlsCert, "tls-cert", env("TLS_CERT", ""), "PEM `FILE` of the certificate chain, for TLS [TLS_CERT]")
	flag.StringVar(&s.tlsKey, "tls-key", env("TLS_KEY", ""), "PEM `FILE` of its key [TLS_KEY]")
	flag.StringVar(&s.tlsClientCA, "tls-client-ca", env("TLS_CLIENT_CA", ""), "PEM `FILE` of the authority whose clients alone may call [TLS_CLIENT_CA]")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case (s.tlsCert == "") != (s.tlsKey == ""):
		return s, errors.New("--tls-cert and --tls-key go together")
	case s.tlsClientCA != "" && s.tlsCert == "":
		return s, errors.New("--tls-client-ca needs --tls-cert and --tls-key")
	}
	return s, nil
}

func (s settings) tls() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(s.tlsCert, s.tlsKey)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	if s.tlsClientCA != "" {
		pem, err := os.ReadFile(s.tlsClientCA)
		if err != nil {
			return nil, err
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: holds no certificate", s.tlsClientCA)
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config, nil
}

func run(s settings) error {
	words, err := readWords(s.words)
	if err != nil {
		return fmt.Errorf("words: %w", err)
	}
	options := []grpc.ServerOption{grpc.MaxRecvMsgSize(maxMessageBytes)}
	if s.tlsCert != "" {
		config, err := s.tls()
		if err != nil {
			return fmt.Errorf("TLS: %w", err)
		}
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}

	server := grpc.NewServer(options...)
	bridgev1.RegisterFriendCallbackServiceServer(server, &friends{words: words})
	bridgev1.RegisterMessageCallbackServiceServer(server, &messages{words: words})
	bridgev1.RegisterUserCallbackServiceServer(server, newPresence())
	serving := health.NewServer()
	for _, service := range []grpc.ServiceDesc{
		bridgev1.FriendCallbackService_ServiceDesc,
		bridgev1.MessageCallbackService_ServiceDesc,
		bridgev1.UserCallbackService_ServiceDesc,
	} {
		serving.SetServingStatus(service.ServiceName, healthpb.HealthCheckResponse_SERVING)
	}
	healthpb.RegisterHealthServer(server, serving)
	reflection.Register(server)

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go stopOn(signals, server, serving)
	slog.Info("listening", "address", listener.Addr().String(), "tls", s.tlsCert != "")
	// Returns once GracefulStop is done.
	return server.Serve(listener)
}

func stopOn(signals <-chan os.Signal, server *grpc.Server, serving *health.Server) {
	received := <-signals
	signal.Reset() // A second one ends the process at once.
	slog.Info("stopping")
	serving.Shutdown() // NOT_SERVING from here on.
	if received == syscall.SIGTERM {
		time.Sleep(drain)
	}
	time.AfterFunc(grace, server.Stop)
	server.GracefulStop()
}

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	s, err := readSettings()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if err := run(s); err != nil {
		slog.Error("failed", "error", err.Error())
		os.Exit(1)
	}
	slog.Info("stopped")
}

// gateway answers OpenIM's callback with grpc-gateway's generated code. The decision service behind it has to speak
// OpenIM's own shape.
package main

import (
	"context"
	"log"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	benchv1 "github.com/openim-bridge/openim-bridge/bench/contenders/go/gen/bench/v1"
	"github.com/openim-bridge/openim-bridge/bench/contenders/go/internal/sidecar"
)

// onlyOperationID passes on the one header that the decision service may want.
func onlyOperationID(header string) (string, bool) {
	return "operation-id", strings.EqualFold(header, "operationID")
}

// noMetadata keeps the decision service's metadata from OpenIM.
func noMetadata(string) (string, bool) { return "", false }

// answerError tells OpenIM in its own words: it reads the body alone.
func answerError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	if code := status.Code(err); code == codes.InvalidArgument {
		sidecar.Refuse(9900, "the body is not this callback's JSON", "").Write(w, http.StatusBadRequest)
	} else {
		sidecar.Fallback(code).Write(w, http.StatusOK)
	}
}

func answerRoutingError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, httpStatus int) {
	sidecar.Refuse(9901, "this command is not served", "").Write(w, httpStatus)
}

func run() error {
	flags, err := sidecar.Parse()
	if err != nil {
		return err
	}
	conn, err := flags.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	runtime.DefaultContextTimeout = flags.Timeout
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{
			// OpenIM's types would take a missing 0 for 0; an answer is still to be whole.
			MarshalOptions:   protojson.MarshalOptions{EmitUnpopulated: true},
			UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: true},
		}),
		runtime.WithIncomingHeaderMatcher(onlyOperationID),
		runtime.WithOutgoingHeaderMatcher(noMetadata),
		runtime.WithErrorHandler(answerError),
		runtime.WithRoutingErrorHandler(answerRoutingError),
	)
	if err := benchv1.RegisterOpenImCallbackServiceHandler(context.Background(), mux, conn); err != nil {
		return err
	}
	return flags.Serve(http.MaxBytesHandler(mux, sidecar.MaxBody))
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

module github.com/openim-bridge/openim-bridge/examples/go

go 1.26.0

require (
	github.com/openim-bridge/openim-bridge/gen v0.2.0
	golang.org/x/text v0.44.0
	google.golang.org/grpc v1.85.0
	google.golang.org/protobuf v1.36.12
)

require (
	golang.org/x/net v0.60.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1 // indirect
)

// The module of this commit, in place of the one that was released.
replace github.com/openim-bridge/openim-bridge/gen => ../../gen

module github.com/openim-bridge/openim-bridge/bench/contenders/openim

go 1.26.0

require (
	github.com/HdrHistogram/hdrhistogram-go v1.4.0
	github.com/openimsdk/open-im-server/v3 v3.8.3
	github.com/openimsdk/protocol v0.0.72-alpha.70
	github.com/openimsdk/tools v0.0.50-alpha.63
)

require google.golang.org/protobuf v1.35.1 // indirect

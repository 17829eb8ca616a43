# make help lists the targets. Nothing here needs more than Go, and a C compiler for
# the race detector; tools run at the versions pinned below.

GOFUMPT     := mvdan.cc/gofumpt@v0.12.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

FUZZTIME  ?= 30s
BENCH     ?= .
BENCHTIME ?= 1s

# Nothing here is built in parallel: the go command uses every core by itself.
.NOTPARALLEL:
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: ## run the gateway with a simulated provider: no key, no network, no configuration
	@scripts/need.sh go
	go run ./cmd/llmproxy demo

.PHONY: test
test: ## run every test; on a fresh machine too
	@scripts/need.sh cc
	@scripts/postgres.sh
	@scripts/chromium.sh
	go build ./...
	go vet ./...
	scripts/race.sh ./...
	scripts/plain.sh
	@if [ -f conformance/go.mod ]; then $(MAKE) --no-print-directory conformance; fi

.PHONY: conformance
conformance: ## run the official SDKs against the gateway, in a module of its own
	cd conformance && go vet ./... && go test ./...

# The seeds of fuzz targets run with the tests, and so does the floors test.
.PHONY: check
check: format vet staticcheck test ## what a change must pass: format, vet, staticcheck, all tests

.PHONY: format
format:
	@scripts/need.sh go
	@unformatted=$$(go run $(GOFUMPT) -l .); \
	if [ -n "$$unformatted" ]; then echo "make fmt would change:"; echo "$$unformatted"; exit 1; fi

.PHONY: fmt
fmt: ## format the Go files
	@scripts/need.sh go
	go run $(GOFUMPT) -l -w .

.PHONY: vet
vet:
	@scripts/need.sh go
	go vet ./...

.PHONY: staticcheck
staticcheck:
	@scripts/need.sh go
	go run $(STATICCHECK) ./...

.PHONY: bench
bench: ## run the benchmarks (BENCH=regexp, BENCHTIME=1s)
	@scripts/need.sh go
	go test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem ./bench/... . ./ledger ./pricing ./interceptors ./adapter/sqlite ./adapter/postgres ./adapter/coderws
	@if [ -x bench/run.sh ]; then bench/run.sh; fi

.PHONY: fuzz
fuzz: ## fuzz every target in turn (FUZZTIME=30s each)
	@scripts/need.sh go
	FUZZTIME=$(FUZZTIME) scripts/fuzz.sh

.PHONY: cover
cover: ## measure what the tests reach, written to cover.out
	@scripts/need.sh go
	go test -coverpkg ./... -coverprofile cover.out ./...
	go tool cover -func cover.out | tail -n 1

.PHONY: build
build: ## build the static binary bin/llmproxy
	@scripts/need.sh go
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)' -o bin/llmproxy ./cmd/llmproxy

# The same sources give the same files, whoever builds them where.
DIST      ?= bin/dist
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64

.PHONY: dist
dist: ## build bin/dist/llmproxy-OS-ARCH for each platform, and their SHA256SUMS
	@scripts/need.sh go
	@rm -rf $(DIST) && mkdir -p $(DIST)
	@for platform in $(PLATFORMS); do \
		os=$${platform%/*}; arch=$${platform#*/}; echo "$(DIST)/llmproxy-$$os-$$arch"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -buildvcs=false \
			-ldflags '-s -w -buildid= -X main.version=$(VERSION) -X main.commit=$(COMMIT)' \
			-o $(DIST)/llmproxy-$$os-$$arch ./cmd/llmproxy || exit 1; \
	done
	@cd $(DIST) && if command -v sha256sum >/dev/null; then sha256sum llmproxy-*; else shasum -a 256 llmproxy-*; fi > SHA256SUMS
	@cat $(DIST)/SHA256SUMS

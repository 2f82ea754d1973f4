# The README's commands and what is run before a change is handed in.

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.7.0

.PHONY: test lint race bench fuzz docs try

# All tests. The clients they drive are Debian packages (.ci/run lists them); a
# test whose client is missing says so and is skipped, in CI it fails.
test: lint
	go test -timeout 35m ./...
	go test -race -timeout 20m ./formats ./formats/internal/pack ./formats/all ./publish/ ./publish/internal/... ./publish/dest/... ./pipeline/... ./app/engine ./app/store ./app/hook ./app/vault ./app/github ./app/reconcile

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "gofmt -w the files above"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

race:
	go test -race -timeout 60m ./...

# The table of speed and size, against the peers in Debian and nFPM's own command.
# It fails where a bar is missed; on a busy machine the ratios of single adds swing.
bench:
	go test ./cmd/distropack -run '^TestSpeedAndSizeMeetTheBars$$' -count 1 -timeout 60m -v -bars

# Each fuzz target for a while: make fuzz FUZZTIME=5m
FUZZTIME ?= 30s
fuzz:
	@for pkg in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$pkg 2>/dev/null | grep '^Fuzz'); do \
			echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$pkg || exit 1; \
		done; \
	done

# What is generated: docs/config.md, the schema, the manual pages.
docs:
	go run ./cmd/distropack docs docs

try:
	go run ./cmd/distropack try

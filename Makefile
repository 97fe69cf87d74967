# Lapwing: build, test, measure. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# The targets share two cores, the probes in the kernel and the working tree.
.NOTPARALLEL:

GO      ?= go
CLANG   ?= clang-19
STRIP   ?= llvm-strip-19
CLANG_FORMAT ?= clang-format-19
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# The symbol table stays: uprobes and profiles need the names.
LDFLAGS := -X main.version=$(VERSION)

# Packages whose tests load eBPF programs or start servers. Every socket of the
# machine affects them, so they run one after the other, as root.
KERNEL_PACKAGES := ./probes/... ./agent/privilege/uprobes ./tools/bench
E2E_PACKAGES    := ./agent/e2e/... ./tools/truth
UNIT_PACKAGES    = $(shell $(GO) list ./... | grep -v -e '^lapwing/probes' -e '^lapwing/agent/privilege/uprobes' -e '^lapwing/agent/e2e' -e '^lapwing/tools/bench' -e '^lapwing/tools/truth')
# Packages with concurrent goroutines, which are also tested with the race detector.
RACE_PACKAGES   ?= ./exporters/... ./collectors/patience/... ./collectors/service/... ./collectors/worker/... ./probes/uprobe/...

# A number of inputs. With a time, go test sometimes fails at the end.
FUZZTIME ?= 50000x
E2E_TIMEOUT ?= 20m

# Options of make bench, see docs/benchmark.md.
PAIRS   ?= 9
SECONDS ?= 2
PLAN    ?= socket,syscall
FORMAT  ?= table
TIME    ?= 60s

# Which part of make truth runs, see docs/truth.md; PLAN and FORMAT as above.
ARCH     ?= all
SCENARIO ?= all
LOAD     ?= all
MARKERS  ?= auto

# Which part of make bench-instructions runs; KERNELS, PLAN and FORMAT as above.
LAPWING  ?= bin/lapwing
BASELINE ?= tools/instructions/baseline.json
INSTRUCTIONS = -kernels '$(subst $(space),$(comma),$(strip $(KERNELS)))' -plans '$(PLAN)' -jobs $(GUEST_JOBS) \
	-lapwing '$(LAPWING)' -baseline '$(BASELINE)' -format $(FORMAT)
comma := ,
space := $(subst ,, )

##@ Use

.PHONY: build
build: ## build bin/lapwing and bin/refserver; only needs Go
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/lapwing ./cmd/refserver

.PHONY: demo
demo: build ## show the phases of a small overloaded server on this terminal
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/demo ./tools/demo
	@bin/demo

.PHONY: bench
bench: build ## measure the overhead of the agent for nginx; PAIRS=9 SECONDS=2 PLAN=socket,syscall FORMAT=table|json
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/bench ./tools/bench
	@bin/bench -pairs $(PAIRS) -seconds $(SECONDS) -plans '$(PLAN)' -format $(FORMAT)
	@$(MAKE) --no-print-directory bench-export

.PHONY: bench-export
bench-export: ## measure the cost of exporting: metrics at 10,000 requests/s, 2,000 traces/s; TIME=60s
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/exportbench ./tools/exportbench
	@bin/exportbench -time $(TIME) -format $(FORMAT)

.PHONY: bench-instructions
bench-instructions: instructions ## count the instructions per request that the agent costs, in guests; KERNELS=6.12 PLAN=socket LAPWING=bin/lapwing BASELINE=FILE
	@bin/instructions $(INSTRUCTIONS)

.PHONY: bench-instructions-baseline
bench-instructions-baseline: instructions ## count them and write the baseline that make test compares with
	@bin/instructions $(INSTRUCTIONS) -update

.PHONY: instructions
instructions: build
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/instructions ./tools/instructions

.PHONY: truth
truth: build ## compare the agent's figures with the servers' own stamps; ARCH=prefork,threaded SCENARIO=sleep LOAD=4x PLAN=socket runs a part
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/truth ./tools/truth
	@bin/truth -arch '$(ARCH)' -scenario '$(SCENARIO)' -load '$(LOAD)' -plan '$(PLAN)' -markers '$(MARKERS)' -format $(FORMAT)

.PHONY: scaling
scaling: ## compute spans, series and bytes for many hosts from measured values; see docs/scaling.md
	@$(GO) run ./tools/scaling

##@ Test

.PHONY: test
test: deps build format vet lint generated unit race fuzz kernel e2e kernels cost ## install what the tests need (Debian, Ubuntu), then run all of them

.PHONY: deps
deps: ## install the missing packages that the tests need
	@scripts/deps

.PHONY: vet
vet: ## run go vet
	$(GO) vet ./...

.PHONY: lint
lint: lint-c ## run staticcheck and other checks; tools/lint lists them, and how to ignore a finding
	$(GO) build -C tools/lint -buildvcs=false -o '$(CURDIR)/bin/lint' .
	@echo '$(GO) vet -vettool=bin/lint'; $(GO) vet -vettool='$(CURDIR)/bin/lint' ./...
	@$(GO) vet -C tools/lint -vettool='$(CURDIR)/bin/lint' .
	$(GO) test -C tools/lint ./...

# Another release of clang-format may format differently.
.PHONY: lint-c
lint-c: ## check the format of the eBPF programs, if the pinned release of clang-format is installed
	@if $(CLANG_FORMAT) --version 2>/dev/null | grep -q 'version $(FORMATTED_WITH)\.'; then \
		$(CLANG_FORMAT) --dry-run -Werror $$(find probes -name '*.[ch]'); \
	else \
		echo "lint-c: left out, $(CLANG_FORMAT) is not clang-format $(FORMATTED_WITH)"; \
	fi
FORMATTED_WITH := 19

.PHONY: unit
unit: ## run the tests that need neither root nor a particular kernel
	$(GO) test $(UNIT_PACKAGES)

.PHONY: race
race: ## run the tests of the concurrent packages with the race detector
	@if [[ $$($(GO) env CGO_ENABLED) == 1 ]] && command -v "$$($(GO) env CC)" >/dev/null; then \
		set -x; $(GO) test -race -short $(RACE_PACKAGES); \
	else \
		echo "race: left out, the race detector needs a C compiler (apt-get install gcc libc6-dev)"; \
	fi

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME, starting from its committed corpus
	@GO='$(GO)' scripts/fuzz $(FUZZTIME)

.PHONY: kernel
kernel: need-root ## test the probes on the running kernel
	$(GO) test -p 1 -count=1 $(KERNEL_PACKAGES)

.PHONY: e2e
e2e: need-root ## test the agent with real and scripted servers
	$(GO) test -p 1 -parallel 3 -count=1 -timeout $(E2E_TIMEOUT) $(E2E_PACKAGES)

.PHONY: stitch
stitch: need-root ## test the joins of hops into traces, 10,000 requests per chain of servers; see docs/stitch.md
	LAPWING_STITCH_REQUESTS=10000 $(GO) test -count=1 -timeout 30m -v ./agent/e2e/stitch | grep -E '[|]|FAIL|ok'

.PHONY: churn
churn: need-root ## open and close connections at full speed for 30 s; all counts must agree
	LAPWING_SOAK=1 $(GO) test -count=1 -v -run TestConnectionsComeAndGo ./agent/e2e/many

.PHONY: outage
outage: need-root ## test a receiver that is down for two minutes, then slow, refuses, and answers garbage
	LAPWING_OUTAGE=2m $(GO) test -count=1 -v -run TestReceiverOutage ./agent/e2e

.PHONY: alerts
alerts: need-root ## run idle, busy and overloaded servers with Prometheus for two minutes; exactly the right alerts must fire
	LAPWING_ALERTS=2m $(GO) test -count=1 -v -timeout 20m -run TestAlerts ./agent/e2e/pooltest

SEED ?=
.PHONY: soak
soak: TIME = 30m
soak: need-root ## run a hostile user next to nginx and gunicorn under load, half of the time with each plan; TIME=30m SEED=n
	LAPWING_SOAK_TIME=$(TIME) LAPWING_SOAK_SEED=$(SEED) $(GO) test -count=1 -v -timeout 24h ./agent/e2e/soak

-include tools/kernels/kernels.mk

.PHONY: kernels
kernels: ## run test-kernels, if qemu and a Debian archive are available
	@if ! command -v qemu-system-x86_64 >/dev/null; then \
		echo "kernels: left out, this machine has no qemu-system-x86_64 and no package of it"; \
	elif ! tools/kernels/fetch --mirror >/dev/null; then \
		echo "kernels: left out, there is no archive to have other kernels from"; \
	else \
		$(MAKE) --no-print-directory test-kernels; \
	fi

.PHONY: cost
cost: ## run a short bench-instructions and compare it with the baseline, if its tools are available
	@if ! command -v qemu-system-x86_64 >/dev/null; then \
		echo "cost: left out, this machine has no qemu-system-x86_64 and no package of it"; \
	elif ! tools/kernels/fetch --mirror >/dev/null; then \
		echo "cost: left out, there is no archive to have other kernels from"; \
	elif ! gcc -print-file-name=libc.a 2>/dev/null | grep -q /; then \
		echo "cost: left out, a static C program needs gcc and libc6-dev"; \
	else \
		$(MAKE) --no-print-directory instructions; bin/instructions $(INSTRUCTIONS) -short; \
	fi

.PHONY: need-root
need-root:
	@if [[ $$(id -u) != 0 ]]; then \
		echo "these tests load eBPF programs: run them as root, for instance sudo make test" >&2; exit 1; \
	fi

##@ Maintain

DEBUG =
.PHONY: generate
generate: need-clang ## rebuild the committed eBPF objects with clang; DEBUG=1 includes debug(), do not commit that
	BPF2GO_CC=$(CLANG) BPF2GO_STRIP=$(STRIP) DEBUG_CFLAGS='$(if $(DEBUG),-DDEBUG)' $(GO) generate ./probes/...

.PHONY: dashboards
dashboards: ## write the Grafana dashboards of package dashboards as JSON files
	$(GO) run ./tools/dashboards dashboards/grafana

.PHONY: dashboard-schema
dashboard-schema: ## update the schema and the grammar that check them, from Grafana's npm packages; needs npm
	cd dashboards/schema && npm ci --no-audit --no-fund && npm run generate

.PHONY: check-generate
check-generate: generate ## check that the committed eBPF objects match their sources
	@changed=$$(git status --porcelain -- probes); \
	if [[ -n $$changed ]]; then \
		echo "$$changed"; \
		git --no-pager diff --stat -- probes; \
		echo "check-generate: generated files differ from the committed ones: commit what make generate wrote" >&2; exit 1; \
	fi

.PHONY: licences
licences: ## list what the build and the tests use, with licences; fails if a licence is not allowed
	@$(GO) run ./tools/licences

# Another release of clang may generate different, equally good objects. Only
# the release that generated the committed ones can check them.
GENERATED_WITH := 19.1.7
.PHONY: generated
generated: ## run check-generate, if the clang of the committed objects is installed
	@if $(CLANG) --version 2>/dev/null | grep -q 'clang version $(GENERATED_WITH)'; then \
		$(MAKE) --no-print-directory check-generate; \
	else \
		echo "check-generate: left out, $(CLANG) is not clang $(GENERATED_WITH)"; \
	fi

.PHONY: need-clang
need-clang:
	@if ! command -v $(CLANG) >/dev/null; then \
		echo "$(CLANG) is missing: apt-get install clang-19 llvm-19, or name another with CLANG= and STRIP=" >&2; exit 1; \
	fi

.PHONY: format
format: ## check the format of the Go files with gofmt
	@unformatted=$$(gofmt -l .); \
	if [[ -n $$unformatted ]]; then \
		echo "gofmt these files: $$unformatted" >&2; exit 1; \
	fi

.PHONY: precommit
precommit: format vet lint build unit ## run the quick checks before every commit

.PHONY: ci
ci: test ## run all checks, those of precommit included

.PHONY: clean
clean: ## remove the build output
	rm -rf bin build

.PHONY: help
help: ## list the targets
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  %-28s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The kernel matrix: tests run as static binaries, as root, in guests that boot
# other kernels. The Makefile includes this file; see docs/kernels.md.

# The kernel series, and the probe plans that each of them supports.
KERNELS      ?= 6.12 6.1
PLANS_ON_6.1  = syscall
PLANS_ON_6.12 = socket,syscall

# What runs in a guest: all tests of the probes, and the agent's tests of hard
# cases and of a marker that is set after the privileges were dropped.
GUEST_PROBES    ?= ./probes/socket
GUEST_E2E       ?= ./agent/e2e
GUEST_E2E_TESTS ?= ^(TestHard|TestMarkersOfALaterServer)
# Time limit of one test binary, in seconds. The limit of the guest is higher,
# so that a test that hangs ends by printing its goroutines.
GUEST_SECONDS   ?= 1800

GUEST_BIN := build/kernels/bin
GUEST_RUN  = tools/kernels/run --timeout $$(($(GUEST_SECONDS) + 30)) --env LAPWING_TEST_PLANS=$(PLANS_ON_$*)

# A guest has one processor, so two guests run at the same time. The output of
# each is shown at its end. The longest parts come first.
GUEST_JOBS ?= 2
GUEST_PARTS = $(foreach part,probes e2e,$(foreach kernel,$(KERNELS),$(part)-on-$(kernel)))

.PHONY: test-kernels
test-kernels: kernel-guests guest-binaries ## run the probe tests and the hard cases on the kernels of KERNELS
	@mkdir -p build/kernels/logs; status=0 running=0; \
	for part in $(GUEST_PARTS); do \
		if ((running == $(GUEST_JOBS))); then wait -n || status=1; else running=$$((running + 1)); fi; \
		$(MAKE) --no-print-directory $$part >build/kernels/logs/$$part 2>&1 & \
	done; \
	for ((; running > 0; running--)); do wait -n || status=1; done; \
	cd build/kernels/logs; cat $(GUEST_PARTS); \
	exit $$status

.PHONY: $(KERNELS:%=test-kernel-%)
$(KERNELS:%=test-kernel-%): test-kernel-%: guest-binaries probes-on-% e2e-on-%

.PHONY: $(KERNELS:%=probes-on-%)
$(KERNELS:%=probes-on-%): probes-on-%:
	@echo "== $*: $(GUEST_PROBES), plans $(PLANS_ON_$*)"
	@for test in $(notdir $(GUEST_PROBES)); do \
		$(GUEST_RUN) --kernel $* --bin $(GUEST_BIN)/$$test.test \
			-- $$test.test -test.v -test.timeout $(GUEST_SECONDS)s; \
	done

.PHONY: $(KERNELS:%=e2e-on-%)
$(KERNELS:%=e2e-on-%): e2e-on-%:
	@echo "== $*: $(GUEST_E2E) $(GUEST_E2E_TESTS), plans $(PLANS_ON_$*)"
	@$(GUEST_RUN) --kernel $* --env LAPWING_BIN=/bin/lapwing --bin bin/lapwing \
		--env REFSERVER_BIN=/bin/refserver --bin bin/refserver --bin $(GUEST_BIN)/e2e.test \
		-- e2e.test -test.v -test.run '$(GUEST_E2E_TESTS)' -test.timeout $(GUEST_SECONDS)s

# A binary without tests would pass in every guest, so it is an error here.
# -test.list does not support subtests: it gets the part before the first slash.
.PHONY: guest-binaries
guest-binaries: build
	@mkdir -p $(GUEST_BIN)
	CGO_ENABLED=0 $(GO) test -c -trimpath -o $(GUEST_BIN)/ $(GUEST_PROBES) $(GUEST_E2E)
	@for test in $(notdir $(GUEST_PROBES)); do \
		[[ -n $$($(GUEST_BIN)/$$test.test -test.list .) ]] || { echo "kernels: $$test has no tests" >&2; exit 1; }; \
	done
	@[[ -n $$($(GUEST_BIN)/e2e.test -test.list '$(firstword $(subst /, ,$(GUEST_E2E_TESTS)))') ]] || \
		{ echo "kernels: $(GUEST_E2E) has no test named $(GUEST_E2E_TESTS)" >&2; exit 1; }

.PHONY: kernel-guests
kernel-guests: ## check that the guests report failures, panics and timeouts, and leave nothing running
	@tools/kernels/selftest $(firstword $(KERNELS))

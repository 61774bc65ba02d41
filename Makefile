# SPDX-License-Identifier: Apache-2.0
# berth: one make, no recursion; everything that is built lives under $(BUILD).
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

CC         ?= cc
ifeq ($(origin CC),default)
CC         := cc
endif
AR         := ar
PKG_CONFIG ?= pkg-config
PREFIX     ?= /usr/local
SAN        ?=
BUILD      ?= build$(if $(SAN),/san)
CFLAGS     ?= -O2 -g
VERSION    := 0.1.0

comma := ,

# Who may use whom: the link sets below and `make lint` both read these lines.
LAYERS            := base schema reconciler storage network vminit vz orchestrator
uses_base         :=
uses_vminit       :=
uses_schema       := base
uses_reconciler   := schema base
uses_storage      := base
uses_network      := base
uses_vz           := vminit base
uses_orchestrator := reconciler storage network vz vminit schema base
drivers           := storage network vz vminit

# Libraries, each behind the one door that the lint gives it.
pkgs := jansson libcrypto yaml-0.1 libcurl libarchive libisal ext2fs com_err sqlite3
lib_cflags := $(shell $(PKG_CONFIG) --cflags $(pkgs) 2>/dev/null)
LDLIBS := -Wl,--as-needed $(shell $(PKG_CONFIG) --libs $(pkgs) 2>/dev/null) -lev -lm
LLHTTP ?= /usr/share/llhttp
LLHTTP_INCLUDE ?= /usr/share/include/llhttp

warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
        -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wformat=2 -Wvla -Wimplicit-fallthrough \
        -Wdouble-promotion -Wdate-time $(if $(WERROR),-Werror)
hardening := -fstack-protector-strong $(if $(SAN),,-D_FORTIFY_SOURCE=2)
flags := -std=gnu17 -D_GNU_SOURCE -I. -include base/banned.h -MMD -MP -fno-common \
        -fno-strict-aliasing $(hardening) $(warnings) \
        -DBERTH_VERSION='"$(VERSION)"' -DBERTH_LIBDIR='"$(PREFIX)/lib/berth"' \
        -isystem $(LLHTTP_INCLUDE) $(lib_cflags) \
        $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
host_flags := -fPIE
host_ldflags := -pie -Wl,-z,relro,-z,now $(if $(SAN),-fsanitize=$(SAN))
q := $(if $(filter 1,$(V)),,@)

src   = $(filter-out %/main.c %_main.c,$(wildcard $(1)/*.c $(1)/api/*.c))
objs  = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
libs  = $(patsubst %,$(BUILD)/lib/%.a,$(1))
tests := $(patsubst %.c,$(BUILD)/bin/%,$(wildcard tests/unit/*/*_test.c))
bins  := $(addprefix $(BUILD)/bin/,berthd berth-netd berth-storage berth-registry berth)

preload := $(BUILD)/lib/berth/clone-memory.so

host: $(bins) $(preload)
all: host guest               ## build berth, berthd, its helpers and the guest (kernel, initramfs)

$(foreach l,$(LAYERS),$(eval $(BUILD)/lib/$(l).a: $(call objs,$(call src,$(l)))))
$(BUILD)/lib/cli.a: $(call objs,$(filter-out %/main.c,$(wildcard orchestrator/cli/*.c)))
$(BUILD)/lib/fake.a: $(call objs,$(wildcard tests/fake/*.c))
$(BUILD)/lib/scenario.a: $(call objs,$(wildcard tests/scenario/*.c))
$(BUILD)/lib/llhttp.a: $(patsubst %,$(BUILD)/obj/llhttp/%.o,api http llhttp)

$(BUILD)/bin/berthd: $(call objs,orchestrator/main.c) \
        $(call libs,orchestrator $(uses_orchestrator) llhttp)
$(BUILD)/bin/berth-netd: $(call objs,network/main.c) $(call libs,network base)
$(BUILD)/bin/berth-storage: $(call objs,storage/main.c) $(call libs,storage base)
$(BUILD)/bin/berth-registry: $(call objs,storage/registry_main.c) $(call libs,storage base)
$(BUILD)/bin/berth: $(call objs,orchestrator/cli/main.c) $(call libs,cli schema base)

# The examples of docs/explain.md: what the reconciler says, in the words of the command line.
$(BUILD)/bin/tests/unit/cli/explain_test: $(BUILD)/obj/tests/unit/cli/explain_test.o \
        $(call libs,scenario reconciler)

# The simulation brings its own libev and drivers, and looks at the system calls that change files.
sim_tests := $(addprefix $(BUILD)/bin/tests/unit/orchestrator/,simulation_test daemon_crash_test)
sim_wraps := clock_gettime getrandom rename mkdir unlink remove write fsync open log_line
$(sim_tests): $(call objs,$(wildcard tests/sim/*.c)) $(call objs,$(addprefix storage/,volume.c \
        ref.c tree.c tree_path.c))
$(sim_tests): LDFLAGS += $(addprefix -Wl$(comma)--wrap=,$(sim_wraps))

# A unit test links its own layer and what that layer may use, nothing else.
# The orchestrator's tests get tests/fake in place of the drivers, the reconciler's the world of
# tests/scenario.
test_set = $(if $(filter orchestrator,$(1)),orchestrator $(filter-out $(drivers),$(uses_$(1))) \
        fake base llhttp,$(if $(filter reconciler,$(1)),scenario) $(1) $(uses_$(1)))
$(foreach l,$(LAYERS),$(foreach t,$(filter $(BUILD)/bin/tests/unit/$(l)/%,$(tests)),\
        $(eval $(t): $(t:$(BUILD)/bin/%=$(BUILD)/obj/%.o) $(call libs,$(call test_set,$(l))))))
$(BUILD)/bin/tests/unit/vz/clone_memory_test: | $(preload)
# Programs that the tests of one driver on a real system use.
drivers_of_tests := $(addprefix $(BUILD)/bin/tests/system/,net_driver net_enter guest_driver \
        template_driver)
$(BUILD)/bin/tests/system/net_driver: $(call objs,tests/system/net_driver.c) \
        $(call libs,network base)
$(BUILD)/bin/tests/system/net_enter: $(call objs,tests/system/net_enter.c)
$(BUILD)/bin/tests/system/guest_driver: $(call objs,tests/system/guest_driver.c) \
        $(call libs,vz $(uses_vz))
$(BUILD)/bin/tests/system/template_driver: $(call objs,tests/system/template_driver.c) \
        $(call libs,vz $(uses_vz))
$(foreach t,$(filter $(BUILD)/bin/tests/unit/cli/%,$(tests)),\
        $(eval $(t): $(t:$(BUILD)/bin/%=$(BUILD)/obj/%.o) $(call libs,cli schema base)))

# A fuzz harness tests/fuzz/fuzz_NAME.c links what a unit test of the layer below does. Without
# libFuzzer (SAN=fuzzer-no-link,...) it gets a main that replays tests/fuzz/corpus/NAME.
fuzz_layer_dns      := network
fuzz_layer_env      := schema
fuzz_layer_frames   := storage
fuzz_layer_http     := orchestrator
fuzz_layer_interpolation := schema
fuzz_layer_layer    := storage
fuzz_layer_manifest := schema
fuzz_layer_oci      := storage
fuzz_layer_qmp      := vz
fuzz_layer_registry := storage
fuzz_layer_values   := schema
fuzz_layer_wire     := vminit
fuzz_layer_yaml     := schema
fuzz_names := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
fuzzers    := $(addprefix $(BUILD)/bin/tests/fuzz/,$(fuzz_names))
fuzz_main  := $(if $(findstring fuzzer,$(SAN)),,$(call objs,tests/fuzz/replay.c))
$(foreach n,$(fuzz_names),$(if $(fuzz_layer_$(n)),,$(error fuzz_layer_$(n) is not set))\
        $(eval $(BUILD)/bin/tests/fuzz/$(n): $(call objs,tests/fuzz/fuzz_$(n).c) $(fuzz_main) \
        $(call libs,$(call test_set,$(fuzz_layer_$(n))) base)))

$(BUILD)/obj/llhttp/%.o: $(LLHTTP)/%.c Makefile
	$(q)mkdir -p $(@D)
	@echo "  CC    $<"
	$(q)$(CC) -std=gnu17 -isystem $(LLHTTP_INCLUDE) $(host_flags) $(hardening) $(CFLAGS) -w -c -o $@ $<

$(BUILD)/obj/%.o: %.c Makefile
	$(q)mkdir -p $(@D)
	@echo "  CC    $<"
	$(q)$(CC) $(flags) $(host_flags) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/lib/%.a:
	@echo "  AR    $@"
	$(q)mkdir -p $(@D) && rm -f $@ && $(AR) rcs $@ $^

$(fuzzers): LDFLAGS += $(if $(findstring fuzzer,$(SAN)),-fsanitize=fuzzer)
$(bins) $(tests) $(fuzzers) $(drivers_of_tests):
	@echo "  LINK  $@"
	$(q)mkdir -p $(@D)
	$(q)$(CC) $(CFLAGS) $(host_ldflags) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# What clones' QEMUs load first. No sanitizers: QEMU has none.
$(preload): vz/preload/clone_memory.c Makefile
	@echo "  SO    $@"
	$(q)mkdir -p $(@D)
	$(q)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 -fPIC -shared $(hardening) $(warnings) \
	        -Wl,-z,relro,-z,now,-z,noexecstack -s -o $@ $<

# The guest: PID 1, built static against musl, as an initramfs; and the kernel, built once into the
# user's cache. Both are used as they are by every VM.
VMINIT_CC ?= musl-gcc
vminit_flags := -std=gnu17 -D_GNU_SOURCE -I. -include base/banned.h -MMD -MP -Os -fno-common \
        -fno-strict-aliasing -fstack-protector-strong -ffunction-sections -fdata-sections \
        $(warnings) -idirafter /usr/include -idirafter /usr/include/$(shell $(CC) -print-multiarch)
vminit_objs := $(patsubst %.c,$(BUILD)/obj/guest/%.o,$(wildcard vminit/*.c))

guest: $(BUILD)/guest/vmlinux $(BUILD)/guest/initramfs

$(BUILD)/obj/guest/%.o: %.c Makefile
	$(q)mkdir -p $(@D)
	@echo "  GUEST $<"
	$(q)$(VMINIT_CC) $(vminit_flags) -c -o $@ $<

$(BUILD)/guest/vminit: $(vminit_objs)
	@echo "  LINK  $@"
	$(q)mkdir -p $(@D)
	$(q)$(VMINIT_CC) -static -s -Wl,--gc-sections -o $@ $^

$(BUILD)/guest/initramfs: $(BUILD)/guest/vminit
	@echo "  CPIO  $@"
	$(q)mkdir -p $(BUILD)/guest/root && cp $< $(BUILD)/guest/root/init
	$(q)(cd $(BUILD)/guest/root && echo init | cpio -o -H newc -R 0:0 --reproducible --quiet) > $@

$(BUILD)/guest/vmlinux: vz/kernel/build.sh vz/kernel/config $(wildcard vz/kernel/*.patch)
	$(q)mkdir -p $(@D)
	$(q)kernel=$$(sh vz/kernel/build.sh) && ln -sf "$$kernel" $@

demo:                           ## install, build, and run the hello example
	$(q)sh tests/deps.sh demo
	$(q)$(MAKE) --no-print-directory -s all
	$(q)sh manifests/examples/hello/demo.sh $(BUILD)/bin

test: deps                      ## install what tests need, then run all of them, real VMs included
	$(q)$(MAKE) --no-print-directory -j2 all tests sanitized
	$(q)$(MAKE) --no-print-directory test-images
	$(q)BUILD=$(BUILD) BERTH_TEST_IMAGES=$(CURDIR)/build/tests/images BERTH_SUMMARY=1 \
	        sh tests/run.sh $(tests) $(fuzzers) $(sanitized_tests) \
	        $(sort $(wildcard tests/system/*.t tests/cli/*.t tests/vm/*.t))

tests: $(tests) $(fuzzers) $(drivers_of_tests)
check: tests                    ## unit and scenario tests only: no root, no network, no VM
	$(q)prove --jobs 2 --exec '' $(tests) $(fuzzers)

FUZZ         ?= $(fuzz_names)
FUZZ_SECONDS ?= 60
FUZZ_BUILD   := build/fuzz
fuzz:                           ## fuzz each parser for FUZZ_SECONDS (60); FUZZ="dns http" names some
	$(q)$(MAKE) --no-print-directory -s -j2 CC=clang BUILD=$(FUZZ_BUILD) \
	        SAN=fuzzer-no-link,address,undefined fuzzers
	$(q)printf '%s\n' $(FUZZ) | xargs -P 2 -I NAME \
	        sh tests/fuzz/run.sh $(FUZZ_SECONDS) $(FUZZ_BUILD)/bin/tests/fuzz/NAME
fuzzers: $(fuzzers)

# The same unit tests under AddressSanitizer and UBSan.
sanitized_tests := $(patsubst $(BUILD)/%,build/san/%,$(if $(SAN),,$(tests) $(fuzzers)))
sanitized:
	$(q)$(if $(SAN),,$(MAKE) --no-print-directory SAN=address,undefined tests)

# Longer than `make test` has time for.
.PHONY: churn stacks simulate bench-reconcile bench-daemon bench-manifest
churn: all test-images          ## 20 minutes of random applies and kills with real VMs
	$(q)BUILD=$(BUILD) BERTH_CHURN_SECONDS=1200 BERTH_TEST_IMAGES=$(CURDIR)/build/tests/images \
	        sh tests/vm/60-churn.t

# Images of whole Debian servers: minutes to make, kept in the cache.
stacks: all                     ## five stacks of real servers (docs/stacks.md), about 12 minutes
	$(q)sh tests/stacks/vm/images.sh $(BUILD)/bin build/tests/stack-images
	$(q)BUILD=$(BUILD) prove --exec '' $(sort $(wildcard tests/stacks/vm/*.t))

$(BUILD)/bin/tests/bench/reconcile: $(call objs,tests/bench/reconcile.c) \
        $(call libs,scenario reconciler $(uses_reconciler))
	@echo "  LINK  $@"
	$(q)mkdir -p $(@D)
	$(q)$(CC) $(CFLAGS) $(host_ldflags) $(LDFLAGS) -o $@ $^ $(LDLIBS)

bench-reconcile: $(BUILD)/bin/tests/bench/reconcile ## time of a no-op decision and of a diff
	$(q)$<

bench-daemon: bench-reconcile test-images ## those of the running daemon, about a minute; VMS=50
	$(q)BUILD=$(BUILD) BERTH_TEST_IMAGES=$(CURDIR)/build/tests/images sh tests/bench/daemon.sh

bench-manifest: all             ## time to check a manifest of 10,000 services in 10 MB
	$(q)BUILD=$(BUILD) sh tests/bench/manifest.sh

simulations := $(addprefix $(BUILD)/bin/tests/unit/,reconciler/converge_test \
        orchestrator/simulation_test)
simulate: $(simulations)        ## a million simulated runs of each kind: a night
	$(q)for test in $^; do BERTH_SIM_RUNS=1000000 $$test || exit 1; done

# The images of the examples in a store that the tests share and do not change.
test-images: all
	$(q)sh tests/vm/images.sh $(BUILD)/bin build/tests/images

bench: tests test-images         ## berth's figures beside podman's, about 8 minutes (docs/bench.md)
	$(q)BUILD=$(BUILD) BERTH_TEST_IMAGES=$(CURDIR)/build/tests/images sh tests/bench/run.sh

lint: lint-layers lint-source lint-shell lint-format lint-cppcheck ## read the code without running it

lint-layers:
	$(q)($(foreach l,$(LAYERS),echo "$(l) $(uses_$(l))";) true) | sh tests/lint/layers.sh

lint-source:
	$(q)sh tests/lint/source.sh

lint-shell:
	$(q)shellcheck -x .ci/run $$(git ls-files '*.sh' '*.t')

lint-format:
	$(q)git ls-files '*.c' '*.h' | xargs -P 2 -n 32 clang-format --dry-run -Werror

lint-cppcheck:
	$(q)cppcheck --quiet --error-exitcode=1 -j 2 --std=c11 --enable=warning,portability \
	        --library=tests/lint/cppcheck.cfg --suppressions-list=tests/lint/cppcheck.txt \
	        --inline-suppr -D_GNU_SOURCE -I. $(LAYERS)

format:                         ## format all C files in place
	$(q)git ls-files '*.c' '*.h' | xargs -P 2 -n 32 clang-format -i

tidy:                           ## clang-tidy over everything (minutes)
	$(q)git ls-files '*.c' | grep -v '^tests/' | xargs -P 2 -n 4 \
	        sh -c 'clang-tidy --quiet "$$@" -- $(subst ','\'',$(filter-out -MMD -MP,$(flags))) 2>/dev/null' \
	        tidy # its stderr only counts warnings of system headers

# The other compiler has other warnings; nothing of this is run.
lint-clang:                     ## all of it compiled by clang, warnings are errors
	$(q)$(MAKE) --no-print-directory -s CC=clang BUILD=build/clang WERROR=1 host tests

install: all                    ## into $(DESTDIR)$(PREFIX)
	install -D -m 755 $(BUILD)/bin/berth $(DESTDIR)$(PREFIX)/bin/berth
	install -D -m 755 $(BUILD)/bin/berthd $(DESTDIR)$(PREFIX)/bin/berthd
	install -D -m 755 $(BUILD)/bin/berth-netd $(DESTDIR)$(PREFIX)/lib/berth/berth-netd
	install -D -m 755 $(BUILD)/bin/berth-storage $(DESTDIR)$(PREFIX)/lib/berth/berth-storage
	install -D -m 755 $(BUILD)/bin/berth-registry $(DESTDIR)$(PREFIX)/lib/berth/berth-registry
	install -D -m 644 $(preload) $(DESTDIR)$(PREFIX)/lib/berth/clone-memory.so
	install -D -m 644 $(BUILD)/guest/vmlinux $(DESTDIR)$(PREFIX)/lib/berth/vmlinux
	install -D -m 644 $(BUILD)/guest/initramfs $(DESTDIR)$(PREFIX)/lib/berth/initramfs
	install -d $(addprefix $(DESTDIR)$(PREFIX)/lib/systemd/,system user) \
	        $(DESTDIR)$(PREFIX)/share/doc/berth
	sed 's|@PREFIX@|$(PREFIX)|' orchestrator/systemd/berthd.service.in \
	        > $(DESTDIR)$(PREFIX)/lib/systemd/system/berthd.service
	sed 's|@PREFIX@|$(PREFIX)|' orchestrator/systemd/berthd-user.service.in \
	        > $(DESTDIR)$(PREFIX)/lib/systemd/user/berthd.service
	install -m 644 docs/*.md $(DESTDIR)$(PREFIX)/share/doc/berth/

deps:                           ## install the Debian packages that build, run and test berth
	$(q)sh tests/deps.sh

clean:                          ## remove what was built
	rm -rf build

help:                           ## this list
	@sed -n 's/^\([a-z-]*\):.*## */  \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

.PHONY: all bench host guest demo test tests check fuzz fuzzers sanitized test-images lint lint-layers lint-source \
        lint-shell lint-format lint-cppcheck format tidy lint-clang install deps clean help
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

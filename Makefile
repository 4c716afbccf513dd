# Edge Cluster: `make help` lists what can be asked for.
#
# Sources are found by folder: lib/<room>/*.c become one archive each, edge/,
# auth_edge/ and client/ one program each, tests/unit/<room>/test_*.c one test
# program each. A new file needs no line here; a new third-party library does.

ROOT_GOALS := all deps unit integration test run check-fast lint san tsan install certs format clean help
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory

CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
AR := $(if $(filter default,$(origin AR)),ar,$(AR))
SAN ?=#     asan, tsan: a build with sanitizers, in a folder of its own
B ?= build$(if $(SAN),/$(SAN))
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
PYTHON := /usr/bin/python3
WORKERS ?= 2#   integration tests at a time: they wait more than they compute
Q := $(if $(V),,@)

# A make inside a recipe: parallel, unless the caller has said -j itself.
SUBMAKE = +@$(MAKE) $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))

# --- flags -------------------------------------------------------------------

pkg_cflags = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(1) 2>/dev/null))
pkg_libs = $(shell pkg-config --libs $(1) 2>/dev/null)

LIBS_edge := libsodium libcjson sqlite3
LIBS_auth_edge := libsodium libcjson sqlite3 libcurl libcrypto
LIBS_edgectl := libsodium libcjson libavformat libavcodec libavutil
LIBS_edge_thumbnail := libavformat libavcodec libavutil libswscale libseccomp
LIBS_ALL := $(sort $(LIBS_edge) $(LIBS_auth_edge) $(LIBS_edgectl) $(LIBS_edge_thumbnail))
LIBS_PAHO := -lpaho-mqtt3as# has no pkg-config file in Debian

FLAGS_SAN_ := -O2 -D_FORTIFY_SOURCE=2
FLAGS_SAN_asan := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_SAN_tsan := -O1 -fsanitize=thread -fno-omit-frame-pointer
FLAGS_SAN := $(FLAGS_SAN_$(SAN))

CPPFLAGS := -D_GNU_SOURCE -Ilib -I. $(call pkg_cflags,$(LIBS_ALL))
CFLAGS := -std=c17 -g -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror \
	-fPIE -fstack-protector-strong -pthread $(FLAGS_SAN)
LDFLAGS := -pie -pthread -Wl,--as-needed -Wl,-z,relro,-z,now \
	$(filter -fsanitize=% -fno-sanitize-recover=%,$(FLAGS_SAN))

# --- sources -----------------------------------------------------------------

# In the order of linking: a room uses only rooms to its right. Its tests link
# just those, so that a test cannot hide a forbidden dependency.
ROOMS := flow bus wire trust base
USES_flow := flow wire trust base
USES_bus := bus base
USES_wire := wire trust base
USES_trust := trust base
USES_base := base
SRC_edge := $(wildcard edge/*.c edge/*/*.c)
SRC_auth_edge := $(wildcard auth_edge/*.c auth_edge/*/*.c)
SRC_edgectl := $(wildcard client/*.c client/*/*.c)
SRC_edge_thumbnail := $(wildcard thumbnail/*.c)
SRC_LIB := $(foreach r,$(ROOMS),$(wildcard lib/$r/*.c))
SRC_TEST := $(wildcard tests/unit/*/*.c)
SRC_ALL := $(SRC_LIB) $(SRC_edge) $(SRC_auth_edge) $(SRC_edgectl) $(SRC_edge_thumbnail) $(SRC_TEST)
HEADERS := $(wildcard lib/*/*.h edge/*.h edge/*/*.h auth_edge/*.h auth_edge/*/*.h \
	client/*.h client/*/*.h thumbnail/*.h tests/unit/*.h tests/unit/*/*.h)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

archives = $(foreach r,$(1),$(if $(wildcard lib/$r/*.c),$(B)/lib/lib$r.a))
PROGRAMS := $(if $(wildcard edge/main.c),$(B)/edge) \
	$(if $(wildcard auth_edge/main.c),$(B)/auth_edge) \
	$(if $(wildcard client/main.c),$(B)/edgectl) \
	$(if $(wildcard thumbnail/main.c),$(B)/edge_thumbnail)

# A test of a program's room links what that program is made of, but its main.
TESTED_edge := $(filter-out edge/main.c,$(SRC_edge))
TESTED_auth_edge := $(filter-out auth_edge/main.c,$(SRC_auth_edge))
TESTED_client := $(filter-out client/main.c,$(SRC_edgectl))
TESTED_thumbnail := $(filter-out thumbnail/main.c,$(SRC_edge_thumbnail))
TEST_ROOMS := $(sort $(patsubst tests/unit/%/,%,$(dir $(SRC_TEST))))
TESTS := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/*/test_*.c))

# --- building ----------------------------------------------------------------

all: $(PROGRAMS) ## build the programs: build/edge, auth_edge, edgectl, edge_thumbnail (default)
	@:

# Changes when the compiler or its flags do, and then everything is built anew.
FLAGS_LINE = $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)
$(B)/flags: FORCE
	@mkdir -p $(B)
	@echo '$(FLAGS_LINE)' | cmp -s - $@ || { \
	  pkg-config --exists $(LIBS_ALL) || echo "packages are missing: run 'make deps'"; \
	  echo '$(FLAGS_LINE)' >$@; }
FORCE:

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	@echo "  cc $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

archive = @mkdir -p $(@D); rm -f $@; $(AR) rcs $@ $^

define lib_rule
$(B)/lib/lib$(1).a: $(call obj,$(wildcard lib/$(1)/*.c))
	$$(archive)
endef
$(foreach r,$(ROOMS),$(eval $(call lib_rule,$r)))

define program_rule
$(B)/$(1): $(call obj,$(SRC_$(1))) $(call archives,$(ROOMS))
	@echo "  ld $$@"
	$(Q)$(CC) $(LDFLAGS) -o $$@ $$^ $(LIBS_PAHO) $(call pkg_libs,$(LIBS_$(1)))
endef
$(foreach p,edge auth_edge edgectl edge_thumbnail,$(eval $(call program_rule,$p)))

# Tests: beside the test_*.c, a room may have files that its tests share.
define test_room_rule
$(B)/tests/$(1).a: $(call obj,$(filter-out tests/unit/$(1)/test_%,\
	$(filter tests/unit/$(1)/%,$(SRC_TEST))) $(TESTED_$(1)))
	$$(archive)

$(filter $(B)/tests/$(1)/%,$(TESTS)): $(B)/tests/%: $(B)/obj/tests/unit/%.o $(B)/tests/$(1).a \
		$(call archives,$(or $(USES_$(1)),$(ROOMS)))
	@mkdir -p $$(@D)
	@echo "  ld $$@"
	$(Q)$(CC) $(LDFLAGS) -o $$@ $$^ -lcmocka $(LIBS_PAHO) $(call pkg_libs,$(LIBS_ALL)) -lm
endef
$(foreach r,$(TEST_ROOMS),$(eval $(call test_room_rule,$r)))

tests: $(TESTS)
	@:
objects: $(call obj,$(SRC_ALL))
	@:

# The stores carry the migrations inside them.
$(filter $(B)/obj/edge/% $(B)/obj/auth_edge/%,$(call obj,$(SRC_ALL))): $(wildcard schema/*.sql)

-include $(patsubst %.o,%.d,$(call obj,$(SRC_ALL)))

# --- asking ------------------------------------------------------------------

deps: ## install what is missing to build, run, test and lint (apt; sudo when not root)
	@scripts/deps.sh run test lint

# Tests that match ROOM and TEST, and not SKIP: make unit ROOM=base TEST=map
UNIT := $(filter-out $(foreach r,$(TEST_ROOMS),$(addprefix $(B)/tests/$r/test_,$(SKIP))),\
	$(filter $(if $(TEST),%/test_$(TEST),%),\
	$(filter $(if $(ROOM),$(addsuffix /%,$(addprefix $(B)/tests/,$(ROOM))),%),$(TESTS))))
unit: $(UNIT) ## run the unit tests (ROOM=base TEST=map: some of them)
	@scripts/check-unit.sh $(JOBS) $(UNIT)

# That there are such tests is .ci/run's to demand.
integration: all ## run the integration tests against a real broker
ifneq ($(wildcard tests/integration/test_*.py),)
	@EDGE_BUILD=$(abspath $(B)) PYTHONDONTWRITEBYTECODE=1 \
	  $(PYTHON) -m pytest -q -n $(WORKERS) -p no:cacheprovider tests/integration
else
	@echo "integration: there are no tests"
endif

test: ## install what is missing, build, run the unit and integration tests
	@scripts/deps.sh run test
	$(SUBMAKE) all tests
	@$(MAKE) unit
	@$(MAKE) integration

run: export VIDEO := $(VIDEO)
run: export DURATION := $(DURATION)
run: export B := $(B)
run: ## a cluster on loopback, shown and checked (VIDEO=file, DURATION=seconds)
	@scripts/deps.sh run
	$(SUBMAKE) all
	@exec scripts/run.sh

# Each header as the only line of a file; what it includes decides when to do it again. Those with
# a .c are the first line of that (check-includes).
HEADER_STAMPS := $(patsubst %,$(B)/headers/%.ok,$(filter-out $(SRC_ALL:.c=.h),$(HEADERS)))
$(B)/headers/%.ok: % $(B)/flags
	@mkdir -p $(@D)
	@printf '#include "%s"\nextern int alone;\n' $< | \
	  $(CC) $(CPPFLAGS) $(CFLAGS) -fsyntax-only -MD -MF $(@:.ok=.d) -MT $@ -x c -
	@touch $@
headers: $(HEADER_STAMPS)
	@:
-include $(HEADER_STAMPS:.ok=.d)

# Left to `make unit`, as each takes a second or more: they start brokers, wait for time-outs, wait
# for disks, or play thousands of cases.
SLOW_TESTS := $(addprefix $(B)/tests/,$(addprefix bus/test_,bus reconnect will tls login) \
	auth_edge/test_local $(addprefix client/test_,media pin) \
	$(addprefix edge/test_,checked verify_help core_live core_repair core_replay core_watch \
	merge store_agree store_fault))

check-fast: ## format, headers, includes, purity, sizes, quick unit tests: seconds on a built tree
	@scripts/check-format.sh $(B)/format.ok $(SRC_ALL) $(HEADERS)
	@scripts/check-includes.sh $(SRC_ALL) $(HEADERS)
	@scripts/check-size.sh $(SRC_ALL) $(HEADERS)
	@scripts/check-words.sh
	$(SUBMAKE) all objects tests headers
	@scripts/check-pure.sh $(B)
	@scripts/check-unit.sh --changed $(JOBS) $(filter-out $(SLOW_TESTS),$(TESTS))
	@echo "check-fast: passed"

# clang-tidy, again only for what clang had to compile again.
TIDY_STAMPS := $(patsubst %.c,$(B)/tidy/%.ok,$(SRC_ALL))
$(B)/tidy/%.ok: $(B)/obj/%.o .clang-tidy
	@mkdir -p $(@D)
	@echo "  tidy $*.c"
	@clang-tidy --quiet $*.c -- $(CPPFLAGS) -std=c17 2>$(@:.ok=.err) || \
	  { grep -v 'warnings\? generated' $(@:.ok=.err); false; }
	@touch $@
tidy: $(TIDY_STAMPS)
	@:

lint: ## build with clang, then clang-tidy over everything
	@scripts/deps.sh run test lint
	$(SUBMAKE) -k B=$(B)/clang CC=clang all tests tidy
	@echo "lint: $(words $(SRC_ALL)) files passed"

san: ## the unit and integration tests under ASan and UBSan
	$(SUBMAKE) B=$(B)/asan SAN=asan all tests
	@$(MAKE) B=$(B)/asan SAN=asan unit
	@$(MAKE) B=$(B)/asan SAN=asan integration

# The core is pure and one thread's (check-pure), and 40 times slower under TSan: left out.
tsan: ## the unit tests of what has threads under TSan
	$(SUBMAKE) B=$(B)/tsan SAN=tsan ROOM='base bus edge' SKIP='core_% conformance' unit

format: ## lay out every C file as .clang-format says
	@clang-format -i $(SRC_ALL) $(HEADERS)

install: all ## install the programs under PREFIX (/usr/local), DESTDIR before it
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin

certs: export CERTS := $(CERTS)
certs: export HOSTS := $(HOSTS)
certs: ## a development CA and a broker's certificate in CERTS (run/certs), for HOSTS besides localhost
	@scripts/certs.sh

clean: ## remove what was built
	rm -rf $(B)

help: ## this list
	@awk -F '## ' '/^[a-z-]+:.*## / { sub(/:.*/, "", $$1); printf "  make %-12s %s\n", $$1, $$2 }' \
	  $(firstword $(MAKEFILE_LIST))

.PHONY: $(ROOT_GOALS) tests objects headers tidy FORCE

include mk/bench.mk
include mk/sim.mk

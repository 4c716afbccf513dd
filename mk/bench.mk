# `make bench`: every figure beside its references (docs/PERFORMANCE.md).
#
#   BENCH=relay       one item; several with commas; default: all of them
#   BENCH_ARGS=…      for bench/run.py: --quick, --rounds N, --json, --keep
#
# What is measured is the build of `make`; what measures it is built beside it.

SRC_load := $(wildcard bench/load/*.c)
SRC_ref := $(wildcard bench/ref/*.c)
SRC_fill := $(wildcard bench/fill/*.c)
REFS := $(patsubst bench/ref/%.c,$(B)/bench/%,$(SRC_ref))
BENCH_LIBS := libmosquitto $(LIBS_edge)

# Its own kept out of SRC_ALL's builds: they need libmosquitto.
SRC_ALL += $(SRC_load) $(SRC_ref) $(SRC_fill)
HEADERS += $(wildcard bench/load/*.h bench/fill/*.h)

$(B)/bench/load: $(call obj,$(SRC_load)) $(call archives,$(filter-out bus,$(ROOMS)))
	@mkdir -p $(@D)
	@echo "  ld $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call pkg_libs,$(LIBS_edge))

# Catalogues go in by the edge's own store.
FILL_EDGE := $(wildcard edge/store/*.c) edge/core/storage.c edge/core/digest.c
$(B)/bench/fill: $(call obj,$(SRC_fill) $(FILL_EDGE)) $(call archives,$(filter-out bus,$(ROOMS)))
	@mkdir -p $(@D)
	@echo "  ld $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(call pkg_libs,$(LIBS_edge))

$(REFS): $(B)/bench/%: $(B)/obj/bench/ref/%.o $(call archives,trust base)
	@mkdir -p $(@D)
	@echo "  ld $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LIBS_PAHO) $(call pkg_libs,$(BENCH_LIBS))

bench-programs: $(PROGRAMS) $(B)/bench/load $(B)/bench/fill $(REFS)
	@:

bench: ## measure against the references, write docs/PERFORMANCE.md (BENCH=relay: one item)
	@scripts/deps.sh run bench
	$(SUBMAKE) bench-programs
	@PYTHONDONTWRITEBYTECODE=1 $(PYTHON) bench/run.py --build $(abspath $(B)) \
	  $(if $(BENCH),--only $(BENCH)) $(BENCH_ARGS)

-include $(patsubst %.o,%.d,$(call obj,$(SRC_load) $(SRC_ref) $(SRC_fill)))

.PHONY: bench bench-programs

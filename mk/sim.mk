# `make sim`: whole clusters on a virtual clock (docs/TESTING.md).
#
#   make sim                 the seeds of tests/sim/seeds.txt and some hundred new ones
#   make sim SEEDS=1000      so many new ones instead (FIRST=N: from this one on)
#   make sim SEED=42         one (TELL=1: with every line of its trace)
#   make sim EDGES=7         so many edges, whatever the seed says
#   make sim SAN=asan        any of them under ASan and UBSan

SRC_sim := $(wildcard tests/sim/*.c)
SRC_ALL += $(SRC_sim)
HEADERS += $(wildcard tests/sim/*.h)

# The stage's parts that it shares, and the edge without what is not pure.
SIM_SHARED := $(filter tests/unit/edge/memory_% tests/unit/edge/reel.c \
	tests/unit/edge/invariants.c,$(SRC_TEST))
SIM_EDGE := $(wildcard edge/core/*.c) edge/store/merge.c \
	$(filter edge/decode% edge/encode% edge/rows% edge/once% edge/checked%,$(SRC_edge))

$(B)/sim: $(call obj,$(SRC_sim) $(SIM_SHARED) $(SIM_EDGE)) $(call archives,flow wire trust base)
	@mkdir -p $(@D)
	@echo "  ld $@"
	$(Q)$(CC) $(LDFLAGS) -Wl,--wrap=crypto_verify -o $@ $^ $(call pkg_libs,libsodium libcjson) -lm

SIM_ARGS = $(if $(EDGES),--edges $(EDGES)) $(if $(SEED),--seed $(SEED) $(if $(TELL),--tell),\
	$(if $(SEEDS),--seeds $(SEEDS)) $(if $(FIRST),--first $(FIRST)) --file tests/sim/seeds.txt)

sim: $(B)/sim ## simulate clusters on a virtual clock (SEED=, SEEDS=, EDGES=)
	@$(B)/sim $(SIM_ARGS)

sim-scale: $(B)/sim ## how traffic grows with edges and rows, as a table (EDGES=)
	@$(B)/sim --scale $(if $(EDGES),--edges $(EDGES))

-include $(patsubst %.o,%.d,$(call obj,$(SRC_sim)))

.PHONY: sim sim-scale

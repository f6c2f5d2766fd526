# SPDX-License-Identifier: Apache-2.0
# The suites. Each writes lines "pass|fail|skip<TAB>suite<TAB>case<TAB>reason" to build/results/; test
# adds them up.

R := $(B)/results
SAN := -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
SAN_SRC = $(AGENT_SRC) $(filter-out tools/kmesh-rl/main.c,$(TOOL_SRC))
SAN_OBJ = $(SAN_SRC:%.c=$(B)/asan/%.o)
UNIT := $(patsubst test/unit/%.c,$(B)/test/unit/%,$(wildcard test/unit/test_*.c))
PROG_OBJ := $(patsubst test/prog/%.bpf.c,$(B)/test/prog/%.bpf.o,$(wildcard test/prog/*.bpf.c))
PROG := $(patsubst test/prog/%.c,$(B)/test/prog/%,$(wildcard test/prog/test_*.c))
FUZZ := $(patsubst test/fuzz/%.c,$(B)/test/fuzz/%,$(wildcard test/fuzz/fuzz_*.c))

$(B)/asan/%.o: %.c VERSION | deps-test $(SKEL)
	@mkdir -p $(@D)
	$(call say,ASAN,$<)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN) $(PKG_CFLAGS) -MMD -MP -c $< -o $@

$(B)/asan/libkrl.a: $(SAN_OBJ)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(B)/test/unit/%: test/unit/%.c $(B)/asan/libkrl.a
	@mkdir -p $(@D)
	$(call say,TEST,$<)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN) $(PKG_CFLAGS) -MMD -MP $< $(B)/asan/libkrl.a $(PKG_LIBS) -lcmocka -lpthread -o $@

$(B)/test/prog/%.bpf.o: test/prog/%.bpf.c | deps-test
	@mkdir -p $(@D)
	$(call say,BPF,$<)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(B)/test/prog/%: test/prog/%.c $(PROG_OBJ) $(B)/libkrl.a
	@mkdir -p $(@D)
	$(call say,TEST,$<)$(CC) $(CPPFLAGS) $(CFLAGS) $(PKG_CFLAGS) -MMD -MP $< $(B)/libkrl.a $(PKG_LIBS) -lcmocka -lpthread -o $@

$(B)/test/fuzz/%: test/fuzz/%.c $(AGENT_SRC) | deps-test $(SKEL)
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)$(CLANG) $(CPPFLAGS) -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined $(PKG_CFLAGS) $< \
		$(filter-out agent/datapath/% agent/control/%,$(AGENT_SRC)) $(PKG_LIBS) -o $@

test: ## all tests; ends with one line of counts
	$(Q)test/run.sh $(MAKE) $(R)

unit: deps-test $(UNIT) ## unit tests, under ASan and UBSan
	$(Q)test/cmocka.py unit $(R) $(UNIT)

prog: deps-test $(PROG) ## programs loaded, their logic through test-run (root)
	$(Q)test/cmocka.py prog $(R) $(PROG) -- $(B)/test/prog

e2e: deps-test all ## end-to-end cases on real sockets (root)
	$(Q)mkdir -p $(R) && $(PYTHON) test/e2e/run.py --build $(B) --results $(R)/e2e

test-kernels: deps-test all $(PROG) ## loading and end-to-end on Debian's 6.1 and 6.12 under qemu
	$(Q)test/kernels/run.sh $(B) $(R)

fuzz: deps-test $(FUZZ) ## each fuzz target for 30 s
	$(Q)for f in $(FUZZ); do name=$$(basename $$f); corpus=$(B)/corpus/$$name; mkdir -p $$corpus; \
		$$f -max_total_time=30 -print_final_stats=1 $$corpus $$(ls -d test/fuzz/corpus/$${name#fuzz_} 2>/dev/null) || exit 1; done

bench: deps-bench all $(PROG_OBJ) ## compare with the unlimited server and with nginx limit_req (root)
	$(Q)$(PYTHON) test/bench/run.py --build $(B) --json $(B)/bench.json

.PHONY: test unit prog e2e test-kernels fuzz bench
.SECONDARY:

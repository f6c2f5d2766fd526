# SPDX-License-Identifier: Apache-2.0
# What is needed from the distribution. `deps` is an order-only prerequisite of everything that is
# compiled; DEPS=no refuses to install and prints the command instead.

DEPS ?= yes

# A goal hands its group on to `deps`, which is made first: one call names all that is missing.
demo deps-demo: deps_group := demo
test unit prog e2e e2e-events e2e-kubernetes crds deploy-check test-kernels asan deps-test: deps_group := test
fuzz deps-fuzz: deps_group := fuzz
bench bench-llm bench-connections deps-bench: deps_group := bench

deps: ## install what the build needs and is missing (DEPS=no: only say it)
	@DEPS=$(DEPS) tools/dev/deps.sh build $(deps_group)

deps-demo deps-test deps-fuzz deps-bench: deps-%: deps
	@DEPS=$(DEPS) tools/dev/deps.sh $*

.PHONY: deps deps-demo deps-test deps-fuzz deps-bench

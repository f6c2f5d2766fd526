# SPDX-License-Identifier: Apache-2.0
# What the build and the tests need from the distribution. `deps` is an order-only prerequisite of
# everything that is compiled; DEPS=no refuses to install and prints the command instead.

DEPS ?= yes

deps: ## install what the build needs and is missing (DEPS=no: only say it)
	@DEPS=$(DEPS) tools/dev/deps.sh build

deps-test: ## ... what the tests need
	@DEPS=$(DEPS) tools/dev/deps.sh build test

deps-bench: ## ... what the benchmarks need
	@DEPS=$(DEPS) tools/dev/deps.sh build test bench

.PHONY: deps deps-test deps-bench

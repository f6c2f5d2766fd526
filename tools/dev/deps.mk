# SPDX-License-Identifier: Apache-2.0
# What is needed from the distribution. `deps` is an order-only prerequisite of everything that is
# compiled; DEPS=no refuses to install and prints the command instead.

DEPS ?= yes

deps: ## install what the build needs and is missing (DEPS=no: only say it)
	@DEPS=$(DEPS) tools/dev/deps.sh build

deps-demo deps-test deps-fuzz deps-bench: deps-%: deps
	@DEPS=$(DEPS) tools/dev/deps.sh $*

.PHONY: deps deps-demo deps-test deps-fuzz deps-bench

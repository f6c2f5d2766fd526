# SPDX-License-Identifier: Apache-2.0
# kmesh-rl: `make help` lists the targets. Everything built lands in build/; V=1 shows the commands.

CLANG ?= clang
BPFTOOL ?= tools/dev/bpftool.sh
PKG_CONFIG ?= pkg-config
PYTHON ?= /usr/bin/python3
B := build
V ?= 0
ifeq ($(V),0)
Q := @
say = @printf '  %-8s %s\n' '$(1)' '$(2)';
endif

VERSION := $(shell cat VERSION)
# Asked when a recipe needs it: the first make installs the compiler and pkg-config itself.
ARCH_INCLUDE = /usr/include/$(shell $(CC) -dumpmachine 2>/dev/null)

LIBS := hiredis libbpf libmnl libuv yaml-0.1 jansson libcurl libmicrohttpd
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wno-unused-parameter
CPPFLAGS += -Iinclude -I. -I$(B)/skel -D_GNU_SOURCE -DKRL_VERSION='"$(VERSION)"'
CFLAGS ?= -O2 -g
CFLAGS += -std=gnu11 $(WARN)
# A program is linked to the libraries that it calls, and no others.
LDFLAGS += -Wl,--as-needed
BPF_CFLAGS = -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-parameter -Iinclude -I. -I$(ARCH_INCLUDE)
PKG_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(LIBS))
PKG_LIBS = $(shell $(PKG_CONFIG) --libs $(LIBS))

.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all

# --- BPF: one object per hook, linked into one, then a skeleton ---------------------------------
# Definitions before what refers to them, or the linker loses their offsets.
BPF_SRC := bpf/maps.bpf.c $(filter-out bpf/maps.bpf.c,$(wildcard bpf/*.bpf.c))
BPF_OBJ := $(BPF_SRC:bpf/%.bpf.c=$(B)/bpf/%.bpf.o)
SKEL := $(B)/skel/kmesh_rl.skel.h

$(B)/bpf/%.bpf.o: bpf/%.bpf.c | deps
	@mkdir -p $(@D)
	$(call say,BPF,$<)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@

$(B)/bpf/kmesh_rl.o: $(BPF_OBJ)
	$(call say,BPFLINK,$@)$(BPFTOOL) gen object $@ $^

$(SKEL): $(B)/bpf/kmesh_rl.o
	@mkdir -p $(@D)
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name kmesh_rl > $@

# --- userspace: everything in the folders of agent/ is one library ---------------------------------
AGENT_SRC := $(wildcard agent/*/*.c)
AGENT_OBJ := $(AGENT_SRC:%.c=$(B)/obj/%.o)
TOOL_SRC := $(wildcard tools/kmesh-rl/*.c tools/kmesh-rl/*/*.c)
TOOL_OBJ := $(TOOL_SRC:%.c=$(B)/obj/%.o)
AGENT := $(B)/kmesh-rl-agent
TOOL := $(B)/kmesh-rl

$(B)/obj/%.o: %.c VERSION | deps $(SKEL)
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(CPPFLAGS) $(CFLAGS) $(PKG_CFLAGS) -MMD -MP -c $< -o $@

$(B)/obj/agent/redis/script.o: agent/redis/lease.lua

$(B)/libkrl.a: $(AGENT_OBJ)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(AGENT): $(B)/obj/agent/main.o $(B)/obj/agent/options.o $(B)/libkrl.a
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(PKG_LIBS) -o $@

$(TOOL): $(TOOL_OBJ) $(B)/libkrl.a
	$(call say,LD,$@)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(PKG_LIBS) -o $@

include tools/dev/deps.mk
include test/test.mk
-include $(shell find $(B) -name '*.d' 2>/dev/null)

all: $(AGENT) $(TOOL) ## build the agent and the command line tool

demo: all | deps-demo ## 15 requests against a limit of 10/minute, on loopback
	$(Q)$(ROOT) tools/dev/demo.sh $(B)

run: all ## the agent in the foreground on deploy/examples/local
	$(Q)$(ROOT) $(AGENT) --source dir:deploy/examples/local

# Of what the programs say with --help.
MAN := $(B)/man/kmesh-rl.1 $(B)/man/kmesh-rl-agent.8
$(B)/man/kmesh-rl.1: $(TOOL) tools/dev/man.sh
$(B)/man/kmesh-rl-agent.8: $(AGENT) tools/dev/man.sh
$(MAN):
	@mkdir -p $(@D)
	$(call say,MAN,$@)tools/dev/man.sh $< > $@

man: $(MAN) ## the man pages of both binaries

PREFIX ?= /usr/local
install: all man ## install both binaries, man pages and completions below PREFIX (/usr/local)
	install -D -m 0755 $(AGENT) $(DESTDIR)$(PREFIX)/sbin/kmesh-rl-agent
	install -D -m 0755 $(TOOL) $(DESTDIR)$(PREFIX)/bin/kmesh-rl
	install -D -m 0644 $(B)/man/kmesh-rl.1 $(DESTDIR)$(PREFIX)/share/man/man1/kmesh-rl.1
	install -D -m 0644 $(B)/man/kmesh-rl-agent.8 $(DESTDIR)$(PREFIX)/share/man/man8/kmesh-rl-agent.8
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	$(TOOL) completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/kmesh-rl
	$(TOOL) completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_kmesh-rl
	$(TOOL) completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/kmesh-rl.fish

IMAGE ?= kmesh-rl:$(VERSION)
BUILDAH ?= buildah
image: ## the container image IMAGE (kmesh-rl:VERSION), with buildah
	$(Q)command -v $(firstword $(BUILDAH)) >/dev/null || \
		{ echo "make image: buildah is missing: install it with: apt-get install -y buildah" >&2; exit 1; }
	$(Q)$(BUILDAH) build $(IMAGE_FLAGS) --file Containerfile --tag $(IMAGE) $(if $(BASE),--build-arg BASE=$(BASE)) .

lint: ## layers, licences, sizes, words, tests that are in no table
	$(Q)tools/dev/lint.sh $(R)

clean: ## remove build/
	rm -rf $(B)

help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile tools/dev/deps.mk test/test.mk

.PHONY: all demo run man install image lint clean help

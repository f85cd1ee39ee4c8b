# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# make: 300 targets with two jobs at a time, functions, recursion.

programs=(make)

workload() {
    cat >Makefile <<'MAKE'
names := $(shell seq 1 300)
parts := $(addprefix out/,$(addsuffix .txt,$(names)))
upper := $(sort $(foreach n,$(names),$(subst 1,one,$(n))$(words $(wordlist 1,$(n),$(names)))))
all: result
	@$(MAKE) --no-print-directory second
result: $(parts)
	@cat $(sort $^) | sha256sum | tee $@
out/%.txt: | out
	@echo "$*: $(words $(upper)) $(wordlist 1,$*,$(upper))" > $@
out: ; @mkdir -p $@
second: ; @echo "again: $(words $(parts)) $(firstword $(upper))"
.PHONY: all second
MAKE
    make -j2
    make -j2
    make -n -B | wc -l
    make -p -n | grep -c '^out/'
}

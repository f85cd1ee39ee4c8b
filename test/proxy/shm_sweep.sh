#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# shm_sweep.sh LIBRARY PROGRAM: a start with a named heap removes the names of processes that are
# gone, and no others.
set -u
prefix=/dev/shm/umf_proxy_lib_shm_pid_
sleep 0 & gone=$!
wait "$gone"
trap 'rm -f "$prefix$gone" "$prefix$$" "$prefix${gone}x"' EXIT
: >"$prefix$gone" && : >"$prefix$$" && : >"$prefix${gone}x" ||
    { echo 'skipped: /dev/shm can not be written'; exit 77; }
UMF_PROXY=page.disposition=shared-shm LD_PRELOAD=$1 "$2" >/dev/null || exit 1
[ ! -e "$prefix$gone" ] || { echo "shm_sweep: the name of dead process $gone is still there"; exit 1; }
[ -e "$prefix$$" ] || { echo "shm_sweep: the name of living process $$ is gone"; exit 1; }
[ -e "$prefix${gone}x" ] || { echo 'shm_sweep: a name that is no process was removed'; exit 1; }

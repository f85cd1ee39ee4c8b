#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# secure.sh - in a setuid program the environment has no say: LD_PRELOAD is dropped by the loader,
# and a program that links the library ignores UMF_PROXY. Makes setuid copies of two programs, owned
# by "nobody"; for that it must be root.
#
#   secure.sh <path of libumf_proxy.so> <hello> <hello linked with the library>
set -u

if [ $# -ne 3 ]; then
    echo "usage: secure.sh <libumf_proxy.so> <hello> <linked hello>" >&2
    exit 2
fi
library=$1
skip() {
    echo "skipped: $1"
    exit 77
}
[ "$(id -u)" -eq 0 ] || skip "only root can make a setuid program of another user"
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cp "$2" "$work/hello" && cp "$3" "$work/linked" || exit 2
chown nobody "$work/hello" "$work/linked" || skip "no user nobody"
chmod 4755 "$work/hello" "$work/linked"
command -v setpriv >/dev/null 2>&1 || skip "setpriv is not installed (apt-get install util-linux)"
if ! setpriv --reuid=nobody --clear-groups test -r "$library" 2>/dev/null; then
    skip "$library cannot be read by the user nobody"
fi

failed=0
check() { # check <what> <expected output> <actual output>
    if [ "$2" != "$3" ]; then
        echo "secure: failed: $1: '$3', expected '$2'" >&2
        failed=1
    fi
}
first_line() { printf '%s\n' "$1" | head -n 1; }

# On a file system mounted nosuid the bit has no effect: the linked program would then obey
# UMF_PROXY, which tells.
if [ "$(findmnt -n -o OPTIONS -T "$work" | grep -c nosuid)" -ne 0 ]; then
    skip "$work is mounted nosuid"
fi

text=$(LD_PRELOAD="$library" "$work/hello" 2>&1)
check "preloaded setuid program" "hello ok" "$(printf '%s\n' "$text" | tail -n 1)"
text=$(UMF_PROXY="pool=bogus;help;stats=exit;on.error=abort" "$work/linked" whose 2>&1)
check "linked setuid program with UMF_PROXY" "umf
hello ok" "$text"
text=$(UMF_LOG="level:debug;output:file,$work/log" "$work/linked" 2>&1)
check "linked setuid program with UMF_LOG" "hello ok" "$text"
[ ! -e "$work/log" ] || check "log file written by a setuid program" "none" "$work/log"
printf 'umf.logger.output=%s/log' "$work" >"$work/conf"
printf 'pool=bogus\n' >"$work/settings"
text=$(UMF_CONF="umf.bogus=1;umf.logger.output=$work/log" UMF_CONF_FILE="$work/conf" \
    UMF_PROXY_FILE="$work/settings" UMF_MEM_FD_FUNC=memfd_create "$work/linked" 2>&1)
check "linked setuid program with every other variable" "hello ok" "$text"
[ ! -e "$work/log" ] || check "log file written by a setuid program" "none" "$work/log"

# and the same program without the bit does read it, so that the check above means something
chmod 755 "$work/linked"
text=$(UMF_PROXY="pool=bogus" "$work/linked" 2>&1)
case $(first_line "$text") in
"umf: "*) ;;
*) check "plain linked program" "a line about pool=bogus" "$text" ;;
esac
[ $failed -eq 0 ] && echo "secure: ok"
exit $failed

# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# ssh-keygen: makes keys of several kinds, signs and verifies, certificates, revocation list.

programs=(ssh-keygen)

workload() {
    local kind
    for kind in ed25519 ecdsa 'rsa -b 2048'; do
        # shellcheck disable=SC2086  # the kind may carry its size
        quietly ssh-keygen -q -t $kind -N '' -C test -f "key-${kind%% *}"
        ssh-keygen -l -f "key-${kind%% *}" | awk '{ print $1, $3, $4 }'
    done
    words 1000 >data
    quietly ssh-keygen -Y sign -f key-ed25519 -n file data
    echo "me $(cut -d ' ' -f 1,2 key-ed25519.pub)" >allowed
    ssh-keygen -Y verify -f allowed -I me -n file -s data.sig <data | cut -d ' ' -f 1-6
    quietly ssh-keygen -s key-rsa -I id -n user -V +1d key-ecdsa.pub
    ssh-keygen -L -f key-ecdsa-cert.pub | grep -c 'Principals'
    quietly ssh-keygen -k -f revoked key-ecdsa.pub
    { ssh-keygen -Q -f revoked key-ecdsa.pub || true; } | grep -c REVOKED
    quietly ssh-keygen -p -P '' -N secret -f key-ed25519
    ssh-keygen -y -P secret -f key-ed25519 | cut -d ' ' -f 1
}

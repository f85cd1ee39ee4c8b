#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# run.sh PRODUCER CONSUMER: runs both; 77 where processes may not fetch each other's descriptors.
set -u
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
timeout 20 "$1" "$folder/socket" & producer=$!
timeout 20 "$2" "$folder/socket"
status=$?
wait "$producer" || [ "$status" -ne 0 ] || status=1
exit "$status"

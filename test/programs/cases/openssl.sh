# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# openssl: digests, ciphers, keys, a certificate, s_server with s_client, and a short speed run.

programs=(openssl)

workload() {
    words 30000 >data
    local digest port
    for digest in md5 sha1 sha256 sha512 sha3-256 blake2b512; do
        openssl dgst "-$digest" data
    done
    openssl enc -aes-256-cbc -K "$(printf '%064d' 7)" -iv "$(printf '%032d' 9)" -in data |
        openssl dgst -sha256
    quietly openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 \
        -subj /CN=localhost
    openssl verify -CAfile cert.pem cert.pem
    openssl x509 -in cert.pem -noout -subject
    port=$(free_port)
    openssl s_server -accept "127.0.0.1:$port" -key key.pem -cert cert.pem -WWW \
        >>"$UMF_TEST_NOISE" 2>&1 &
    stop_at_exit $!
    until_ready 20 openssl s_client -connect "127.0.0.1:$port" -brief
    local version
    for version in -tls1_2 -tls1_3; do
        printf 'GET /data HTTP/1.0\r\n\r\n' |
            openssl s_client -quiet -ign_eof "$version" -CAfile cert.pem -verify_return_error \
                -connect "127.0.0.1:$port" 2>>"$UMF_TEST_NOISE" | sha256sum
    done
    quietly openssl speed -seconds 1 -bytes 1024 -multi 2 sha256
    openssl prime -generate -bits 64 | wc -l
}

# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# nginx with two workers: pages fetched with curl over a unix socket, then a second of wrk on
# loopback.

programs=(nginx curl wrk)

configuration() {
    cat <<CONF
daemon off;
pid nginx.pid;
error_log error.log warn;
worker_processes 2;
$([ "$(id -u)" -ne 0 ] || echo 'user root;')
events { worker_connections 128; }
http {
    access_log access.log;
    client_body_temp_path tmp/body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;
    gzip on;
    gzip_min_length 100;
    gzip_types *;
    upstream files { server unix:$PWD/files.sock; keepalive 4; }
    server { listen unix:$PWD/files.sock; root $PWD/www; }
    server {
        listen unix:$PWD/front.sock;
        listen 127.0.0.1:$1;
        location /direct/ { alias $PWD/www/; autoindex on; }
        location / { proxy_pass http://files; }
        location /gone { return 404 "no such page\n"; }
    }
}
CONF
}

workload() {
    mkdir www
    words 20000 >www/big.txt
    echo 'hello from nginx' >www/index.html
    local port i
    port=$(free_port)
    configuration "$port" >nginx.conf
    nginx -p "$PWD" -e error.log -c nginx.conf 2>>"$UMF_TEST_NOISE" &
    stop_at_exit $!
    until_ready 20 curl -sf --unix-socket front.sock http://local/
    for i in 1 2 3; do
        curl -sS --unix-socket front.sock http://local/
        curl -sS --unix-socket front.sock http://local/big.txt | sha256sum
        curl -sS --compressed --unix-socket front.sock http://local/direct/big.txt | sha256sum
        curl -sS -o /dev/null -w '%{http_code}\n' --unix-socket front.sock http://local/gone
        curl -sS --no-progress-meter --parallel --unix-socket front.sock \
            'http://local/big.txt?[1-20]' | wc -c
    done
    wrk -t 2 -c 16 -d 1 "http://127.0.0.1:$port/" >wrk.txt
    cat wrk.txt >>"$UMF_TEST_NOISE"
    grep -q 'requests in' wrk.txt
    ! grep -E 'Non-2xx|Socket errors' wrk.txt
    quietly nginx -p "$PWD" -e error.log -c nginx.conf -s reload
    until_ready 20 curl -sf --unix-socket front.sock http://local/
    curl -sS --unix-socket front.sock http://local/
    quietly nginx -p "$PWD" -e error.log -c nginx.conf -s quit
    wait
    ! grep 'exited on signal' error.log
}

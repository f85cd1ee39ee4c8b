# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# Chromium, headless: renders a page with scripts and prints its document. Its processes bring
# their own allocator for most things; what is left to malloc, and the libraries it loads, are
# under ours.

programs=(/usr/lib/chromium/chromium)
tools=(chromium)
limit=90

workload() {
    cat >page.html <<'HTML'
<!doctype html><title>t</title><ul id=list></ul><canvas id=c width=200 height=100></canvas>
<script>
  const list = document.getElementById('list');
  const text = JSON.stringify([...Array(2000).keys()].map(i => ({ i, s: 'v' + i * i })));
  JSON.parse(text).filter(x => /7$/.test(x.s) || x.i % 100 === 0).forEach(x => {
    const li = document.createElement('li');
    li.textContent = x.i + ' ' + x.s;
    list.appendChild(li);
  });
  const draw = document.getElementById('c').getContext('2d');
  for (let i = 0; i < 200; i++) draw.fillRect(i, i / 2, 5, 5);
  document.title = 'length ' + text.length;
</script>
HTML
    chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --disable-dev-shm-usage --user-data-dir="$PWD/profile" --dump-dom "file://$PWD/page.html" \
        2>>"$UMF_TEST_NOISE"
}

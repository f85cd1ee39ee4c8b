# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# vim in silent mode: substitutions, sorting, macros, undo, scripts and filters on a long text.

programs=(vim)

workload() {
    words 20000 >text
    cat >work.vim <<'VIM'
set nocp nomore noswapfile viminfo=
edit text
%s/w\(\d\+\)/<\1>/g
%s/<\(\d*\)7>/seven\1/ge
sort! /\S\+ \S\+ /
normal! ggqqA end of line" . jq
normal 500@q
undo
redo
g/99/m0
v/5/d
let words = {}
for l in getline(1, '$')
  for w in split(l)
    let words[w] = get(words, w, 0) + 1
  endfor
endfor
call append('$', len(words) . ' words, ' . max(values(words)) . ' at most')
call append('$', sort(keys(words))[0:20])
%!cat
write! out
qall!
VIM
    vim -u NONE -i NONE -n -es -S work.vim || echo "status $?"
    wc -l <out
    sha256sum <out
    vim -u NONE -i NONE -n -es -c 'put =join(range(1, 20000))' -c 's/1/one/g' \
        -c 'w! second' -c 'q!' || echo "status $?"
    sha256sum <second
}

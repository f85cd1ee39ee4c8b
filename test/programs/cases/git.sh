# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# git: a generated repository of 300 commits: import, log, blame, repack, gc, fsck, merge.

programs=(git)

history() {
    awk 'BEGIN {
        for (n = 1; n <= 300; n++) {
            print "commit refs/heads/main"
            print "committer A U Thor <a@example.org> " 1600000000 + n * 60 " +0000"
            message = "change " n "\n"
            printf "data %d\n%s", length(message), message
            for (f = 0; f < 3; f++) {
                text = ""
                for (l = 0; l < 60; l++)
                    text = text "line " l " of file " (n + f) % 20 ", version " \
                        (l % 9 == n % 9 ? n : int(n / 20)) "\n"
                printf "M 644 inline dir%d/file%d.txt\ndata %d\n%s\n", f, (n + f) % 20, length(text), text
            }
        }
    }'
}

workload() {
    export GIT_CONFIG_NOSYSTEM=1
    export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
    git config --global user.name 'A U Thor'
    git config --global user.email a@example.org
    git config --global init.defaultBranch main
    git init -q repo
    cd repo
    history | git fast-import --quiet
    git checkout -q main
    git log --stat --format='%H %an %ad %s' | sha256sum
    git log --oneline -S'version 150' | wc -l
    git blame dir1/file5.txt | sha256sum
    git diff HEAD~50 | sha256sum
    git repack -q -a -d --threads=2 --window=50
    git gc -q --aggressive --prune=now
    git fsck --full --no-progress
    git grep -c 'line 7' | wc -l
    git checkout -q -b side HEAD~10
    echo changed >dir0/new.txt
    git add dir0/new.txt
    git commit -q -m side
    git merge -q -m merged main
    git log -3 --format=%H
    git clone -q --no-hardlinks . ../clone
    git -C ../clone rev-parse HEAD
    git archive HEAD | sha256sum
}

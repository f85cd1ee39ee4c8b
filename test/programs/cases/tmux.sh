# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# tmux: a server with several windows and panes, keys typed into a shell, the screens read back.

programs=(tmux)

in_tmux() { tmux -S "$PWD/socket" -f /dev/null "$@"; }

# The shell in the pane has shown its prompt; has answered.
prompts() { in_tmux capture-pane -p -t main:0 | grep -q '^%'; }
answered() { in_tmux capture-pane -p -t main:0 | grep -q '^sum 499500$'; }

workload() {
    trap 'in_tmux kill-server 2>/dev/null || true' EXIT
    in_tmux new-session -d -s main -n shell -x 100 -y 40 'PS1="% " sh'
    until_ready 20 prompts
    in_tmux send-keys -t main:0 'i=0; s=0; while [ $i -lt 1000 ]; do s=$((s+i))' Enter
    in_tmux send-keys -t main:0 'i=$((i+1)); done; echo sum $s' Enter
    until_ready 20 answered
    in_tmux capture-pane -p -t main:0 | grep '^sum'
    local i
    for i in 1 2 3 4 5; do
        in_tmux new-window -d -n "w$i" "seq 1 5000; exec sleep 60"
        in_tmux split-window -d -t "main:w$i" 'seq 1 300; exec sleep 60'
    done
    in_tmux list-windows -F '#{window_index} #{window_name} #{window_panes}'
    screen_full() { in_tmux capture-pane -p -S - -t main:w5.0 | grep -q '^5000$'; }
    until_ready 20 screen_full
    in_tmux capture-pane -p -S -1000 -t main:w5.0 | sha256sum
    in_tmux set-buffer "$(seq 1 2000)"
    in_tmux show-buffer | wc -l
    in_tmux rename-session -t main other
    in_tmux resize-window -t other:1 -x 60 -y 20
    in_tmux list-sessions -F '#{session_name} #{session_windows}'
    in_tmux kill-server
    trap - EXIT
}

#!/usr/bin/env bash
# What the scripts that start servers share; they source it. No server outlives the script, nor does `scratch`, a folder of
# its own, which holds the servers' logs.
# shellcheck disable=SC2034 # what is set here is for those scripts

scratch=$(mktemp -d)
pids=()
leave() {
    # Else bash would tell of each that it was killed.
    disown -a
    ((${#pids[@]} == 0)) || kill -KILL "${pids[@]}" 2>/dev/null || true
    rm -rf "$scratch"
}
trap leave EXIT

# fail TEXT: ends the script, with what the servers said last.
fail() {
    printf '%s\n' "$1" >&2
    find "$scratch" -maxdepth 1 -name '*.log' -size +0 -exec tail -v -n 50 {} + >&2
    exit 1
}

# begin NAME PATTERN COMMAND...: starts the command, and sets `pid`, and `found` to what PATTERN finds in its log.
begin() {
    local log=$scratch/$1.log
    : >"$log"
    ("${@:3}") >>"$log" 2>&1 &
    pid=$!
    pids+=("$pid")
    for _ in {1..600}; do
        found=$(sed -nE "s/$2/\1/p" "$log" | tail -n 1)
        [[ -z $found ]] || return 0
        kill -0 "$pid" 2>/dev/null || fail "$1 ended at its start"
        sleep 0.1
    done
    fail "$1 did not say where it listens"
}

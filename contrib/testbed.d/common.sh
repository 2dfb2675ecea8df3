# shellcheck shell=bash disable=SC2034
# Names, messages, processes: what the other parts share.

STATE=/run/artishim-testbed
DATA=/var/lib/artishim-testbed
WORK=$DATA/work
CACHE=${ARTISHIM_TESTBED_CACHE:-/var/cache/artishim-testbed}
ROOTFS=$CACHE/forky
ENGINES=(docker20 docker28 docker28-rootless podman4 podman5 docker20-remote docker28-remote podman4-remote podman5-remote)

say() { echo "testbed: $*" >&2; }

die() {
    say "$*"
    exit 1
}

engine_dir() { echo "$STATE/engines/$1"; }

need_engine() {
    case " ${ENGINES[*]} " in
        *" $1 "*) [ -d "$(engine_dir "$1")" ] || die "not up" ;;
        *) die "no engine $1; there are: ${ENGINES[*]}" ;;
    esac
}

# Two test programs may call "up" at once. The lock lies in the cache, as "down" removes the rest.
with_lock() {
    mkdir -p "$CACHE"
    exec 9>"$CACHE/lock"
    flock 9
    "$@"
}

make_directories() {
    local name
    for name in "${ENGINES[@]}"; do
        mkdir -p "$(engine_dir "$name")"/{bin,plugins} "$DATA/data/$name"
    done
    mkdir -p "$STATE/tools" "$WORK"
    # Shared, so that what a test mounts below it later shows up inside the engines' namespaces too.
    mountpoint -q "$WORK" || mount --bind "$WORK" "$WORK"
    mount --make-shared "$WORK"
}

# Below it there may be mounts which a test has left behind.
unmount_work() {
    while mountpoint -q "$WORK"; do
        umount --recursive "$WORK" 2>/dev/null || umount --recursive --lazy "$WORK"
    done
}

# in_parallel FUNCTION NAME...: FUNCTION for each name at once; fails if one of them does.
in_parallel() {
    local function=$1 name jobs=() job failed=
    shift
    for name; do
        ("$function" "$name") &
        jobs+=("$!:$name")
    done
    for job in "${jobs[@]}"; do
        wait "${job%%:*}" || failed+=" ${job#*:}"
    done
    [ -z "$failed" ] || die "$function failed:$failed (logs: $STATE/engines/*/log)"
}

# spawn PIDFILE LOG COMMAND...: start a daemon which outlives us, holds neither our output nor our lock.
spawn() {
    local pidfile=$1 log=$2
    shift 2
    setsid "$@" </dev/null >>"$log" 2>&1 9>&- &
    echo "$! $(start_time "$!")" >"$pidfile"
    # Its end is no news.
    disown "$!"
}

# Empty for a process that is dead and only not yet waited for: after us it is process 1 that must do so, and not every
# machine's process 1 does. The fields are those after the name, which is in parentheses and may hold anything.
start_time() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    [ "$1" = Z ] || echo "${20}"
}

# Is the recorded process alive, and not another one which got its number?
is_running() {
    local pid since
    read -r pid since 2>/dev/null <"$1" || return 1
    [ -n "$since" ] && [ "$(start_time "$pid")" = "$since" ]
}

pid_of() {
    local pid
    read -r pid _ <"$1"
    echo "$pid"
}

# wait_for SECONDS COMMAND...
wait_for() {
    local left=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.1
    done
}

# stop_process PIDFILE SIGNAL
stop_process() {
    is_running "$1" || return 0
    kill -s "$2" "$(pid_of "$1")"
    wait_for 20 is_gone "$1" || kill -s KILL "$(pid_of "$1")"
    wait_for 5 is_gone "$1" || die "cannot stop process $(pid_of "$1")"
}

is_gone() { ! is_running "$1"; }

# Everything that we started, and what the engines started on our behalf (shims, conmon, containers), has a mount of our
# data directory in its mount table; nothing on the host itself has but the work directory. Containers may appear
# while we look, hence the rounds. The caller's own process is safe: it lives in the host's namespace.
sweep_processes() {
    local round pids file
    for file in "$STATE"/*.pid "$STATE"/registries/*.pid; do
        ! is_running "$file" || kill -s KILL "$(pid_of "$file")"
    done
    for round in {1..20}; do
        pids=$(processes_with_our_data)
        [ -n "$pids" ] || return 0
        # shellcheck disable=SC2086
        kill -s KILL $pids 2>/dev/null || true
        sleep 0.1
    done
    die "these do not die: $pids (round $round)"
}

processes_with_our_data() {
    local file
    { grep -ls -- "$DATA/data/" /proc/[0-9]*/mountinfo || true; } | while read -r file; do
        file=${file#/proc/}
        echo "${file%%/*}"
    done
}

# Killed containers leave their cgroups. Docker's are under a parent of ours; Podman's are known by their ids, and the
# rest of its tree goes only if nobody else has anything in it.
remove_cgroups() {
    local dir id tree
    for dir in /sys/fs/cgroup/{,*/}artishim-testbed; do
        remove_cgroup_tree "$dir"
    done
    for dir in "$DATA"/data/podman*/storage/*-containers/*/; do
        id=$(basename "$dir")
        for tree in /sys/fs/cgroup/{,*/}libpod_parent/libpod-{,conmon-}"$id"; do
            remove_cgroup_tree "$tree"
        done
    done
    rmdir /sys/fs/cgroup/{,*/}libpod_parent{/conmon,} 2>/dev/null || true
}

# Cgroups hold files that only rmdir of their directory removes.
remove_cgroup_tree() {
    [ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
}

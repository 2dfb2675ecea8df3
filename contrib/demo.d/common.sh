# shellcheck shell=bash disable=SC2034,SC2154
# Names, what is shown, what is built and installed, and how all of it goes away again.

STATE=/run/artishim-demo
DATA=/var/lib/artishim-demo
CACHE=${XDG_CACHE_HOME:-/var/cache}/artishim-demo
IMAGE=localhost/artishim-demo:busybox
LLAMA_IMAGE=localhost/artishim-demo:llama.cpp
EMPTY_IMAGE=localhost/artishim-empty
CGROUP=artishim-demo

say() { echo "demo: $*" >&2; }

# show LINE: prints a command as a person types it, and runs it.
show() {
    printf '\n$ %s\n' "$1"
    eval "$1"
}

# One a line.
packages_for() {
    printf '%s\n' docker-registry busybox-static curl
    command -v cc >/dev/null || printf '%s\n' gcc libc6-dev
    [ "$1" != gemma ] || printf '%s\n' debootstrap python3-venv
}

# In a shell of its own, whose trap takes away again what keeps the packages' services from starting.
install_packages() (
    HOST_PACKAGES=("$@")
    install_host_packages
)

build_artishim() {
    local line="cargo build --release" here target
    cd "$contrib/.."
    [ -t 2 ] || line+=" --quiet"
    show "$line"
    target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    # Behind the user's own directories: where dockerd is, for a root who came by plain su.
    PATH=$target/release:$PATH:/usr/sbin:/sbin
}

# Not in the store of the user's own artishim, and without a cache if there was none.
keep_artishim_apart() {
    export ARTISHIM_STORE=$DATA/store ARTISHIM_CACHE=$DATA/cache ARTISHIM_ENGINE=$engine
}

# Ends what it can and goes on, however far the demo has come.
clean_up() {
    trap '' INT TERM
    set +e
    [ -z "${CLI-}" ] || clean_engine >/dev/null 2>&1
    stop_process "$STATE/registry.pid" TERM
    stop_process "$STATE/docker.pid" KILL
    wait_for 10 remove_data || say "cannot remove $DATA"
    set -e
    trap - INT TERM
}

remove_data() {
    local dir
    for dir in /sys/fs/cgroup/{,*/}"$CGROUP"; do
        remove_cgroup_tree "$dir"
    done
    rm -rf --one-file-system "$STATE" "$DATA"
}

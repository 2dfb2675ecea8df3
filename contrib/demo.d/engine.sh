# shellcheck shell=bash disable=SC2153,SC2154
# The engine: the one artishim finds, if it can start a container, else a Docker of the demo's own.

# Sets CLI to the program of the engine, which then has the image.
choose_engine() {
    local name
    make_image
    note_empty_image
    if name=$(engine_name); then
        CLI=$name
        ! prepare_engine || return 0
        say "$CLI is here but starts no container: $(tail -n 1 "$STATE/trial.log")"
        clean_engine >/dev/null 2>&1
        CLI=
    fi
    [ "$engine" != podman ] || die "no Podman that works"
    start_docker
    CLI=docker
    prepare_engine || die "the Docker started here starts no container: $(tail -n 1 "$STATE/trial.log")"
}

# The image that artishim may make in an engine stays where it was before.
note_empty_image() {
    local name
    for name in podman docker; do
        ! "$name" image inspect "$EMPTY_IMAGE" >/dev/null 2>&1 || touch "$STATE/$name.had-empty-image"
    done
}

# The name of the engine that artishim finds, if its program is here too.
engine_name() {
    local name
    name=$(artishim engines --json 2>"$STATE/engines.log" | sed -n 's/^ *"engine": "\(.*\)",/\L\1/p')
    [ -n "$name" ] && command -v "$name" >/dev/null && echo "$name"
}

# Some machines withhold from root what Podman's defaults ask for: there Podman gets a configuration that asks for less.
prepare_engine() {
    import_image "$DATA/image.tar" "$IMAGE"
    ! try_container || return 0
    [ "$CLI" = podman ] || return 1
    write_modest_podman_configuration
    say "Podman's defaults start no container here: $(tail -n 1 "$STATE/trial.log")"
    show "export CONTAINERS_CONF=$STATE/containers.conf"
    cat "$CONTAINERS_CONF"
    ! try_container || return 0
    unset CONTAINERS_CONF
    return 1
}

try_container() { "$CLI" run --rm --network none "$IMAGE" true >"$STATE/trial.log" 2>&1; }

# The limits root has already, and a runtime that does not mind a mixture of cgroups v1 and v2.
write_modest_podman_configuration() {
    local files processes
    files=$(least "$(ulimit -H -n)" 1048576)
    processes=$(least "$(ulimit -H -u)" "$(cat /proc/sys/kernel/pid_max)")
    printf '[containers]\ndefault_ulimits = ["nofile=%s:%s", "nproc=%s:%s"]\n' \
        "$files" "$files" "$processes" "$processes" >"$STATE/containers.conf"
    ! command -v runc >/dev/null || printf '[engine]\nruntime = "runc"\n' >>"$STATE/containers.conf"
}

# least LIMIT MOST
least() { [ "$1" != unlimited ] && [ "$1" -lt "$2" ] && echo "$1" || echo "$2"; }

# A Docker in namespaces of its own: it would take docker0 from another Docker in the same network namespace, and all that
# it starts and mounts is gone with the first process of the other two.
start_docker() {
    say "no engine that works; starting Debian's docker.io for the time of the demo"
    install_packages docker.io
    echo '{}' >"$STATE/docker.json"
    spawn "$STATE/docker.pid" "$STATE/docker.log" \
        unshare --mount --net --pid --fork --kill-child --mount-proc -- /usr/sbin/dockerd \
        --host "unix://$STATE/docker.sock" --data-root "$DATA/docker" --exec-root "$STATE/docker" \
        --pidfile "$STATE/dockerd.pid" --config-file "$STATE/docker.json" \
        --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$CGROUP" \
        --bridge=none --iptables=false --ip6tables=false
    unset DOCKER_CONTEXT DOCKER_TLS DOCKER_TLS_VERIFY
    show "export DOCKER_HOST=unix://$STATE/docker.sock"
    export ARTISHIM_ENGINE=docker
    wait_for 60 docker_is_up_or_dead
    docker version >/dev/null 2>&1 || die "dockerd does not start: $(tail -n 3 "$STATE/docker.log")"
}

docker_is_up_or_dead() { docker version || is_gone "$STATE/docker.pid"; }

# A busybox with links to itself.
make_image() {
    local root=$DATA/image
    mkdir -p "$root"/{bin,etc,tmp}
    cp /bin/busybox "$root/bin/"
    chroot "$root" /bin/busybox --install -s /bin
    echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
    tar -C "$root" --owner=0 --group=0 -cf "$DATA/image.tar" .
}

# import_image TAR NAME
import_image() {
    "$CLI" rmi --force "$2" >/dev/null 2>&1 || true
    "$CLI" import - "$2" <"$1" >"$STATE/import.log" 2>&1 || die "cannot import $2: $(tail -n 1 "$STATE/import.log")"
}

# Takes from the user's engine what the demo and artishim have put there.
clean_engine() {
    local image
    for image in "$IMAGE" "$LLAMA_IMAGE"; do
        "$CLI" ps --all --quiet --filter "ancestor=$image" | xargs --no-run-if-empty "$CLI" rm --force
        "$CLI" rmi --force "$image"
    done
    [ -e "$STATE/$CLI.had-empty-image" ] || "$CLI" rmi "$EMPTY_IMAGE"
    [ -n "${MANIFEST_DIGEST-}" ] || return 0
    "$CLI" volume rm --force "artishim-${MANIFEST_DIGEST/:/-}"
    [ "$CLI" != podman ] || podman artifact rm "$REFERENCE"
}

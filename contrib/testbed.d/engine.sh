# shellcheck shell=bash
# The engines: their daemons and the clients that tests are given.

start_engine() {
    local name=$1 dir
    dir=$(engine_dir "$name")
    is_running "$dir/daemon.pid" || spawn_daemon "$name"
    wait_for 60 has_come_up_or_died "$name" || true
    answers "$name" || die "$name does not answer, see $dir/log"
    server_version "$name" >"$dir/version"
}

has_come_up_or_died() {
    answers "$1" || is_gone "$(engine_dir "$1")/daemon.pid"
}

spawn_daemon() {
    local name=$1 dir socket
    dir=$(engine_dir "$name")
    socket=$dir/${name%%[0-9]*}.sock
    rm -f "$socket"
    echo "unix://$socket" >"$dir/socket"
    # shellcheck disable=SC2046
    case $name in
        docker*-rootless)
            spawn "$dir/daemon.pid" "$dir/log" $(enter "$name") \
                setpriv --reuid rootless --regid rootless --init-groups --reset-env \
                env PATH=/usr/sbin:/usr/bin XDG_RUNTIME_DIR=/run/user/rootless \
                /usr/share/docker.io/contrib/dockerd-rootless.sh \
                --host "unix://$socket" --data-root "$DATA/data/$name/docker" --bridge=none --iptables=false --ip6tables=false
            ;;
        docker*)
            # What a kill leaves. dockerd would wait long for its old containerd, which died with it, where process 1
            # is slow to take note of dead children.
            $(enter "$name") rm -f /run/docker.pid /run/docker/containerd/containerd.pid
            spawn "$dir/daemon.pid" "$dir/log" $(enter "$name") /usr/sbin/dockerd \
                --host "unix://$socket" --data-root "$DATA/data/$name/docker" \
                --exec-root /run/docker --pidfile /run/docker.pid \
                --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/artishim-testbed/$name" \
                --bridge=none --iptables=false --ip6tables=false
            ;;
        podman*)
            spawn "$dir/daemon.pid" "$dir/log" $(enter "$name") env PODMAN_IGNORE_CGROUPSV1_WARNING=1 \
                /usr/bin/podman system service --time 0 "unix://$socket"
            ;;
    esac
}

# stop_engine NAME SIGNAL: only the daemon. The world stays, and with SIGKILL so do the containers; Podman's always do.
stop_engine() {
    stop_process "$(engine_dir "$1")/daemon.pid" "$2"
}

answers() { server_version "$1" | grep -q .; }

server_version() {
    case $1 in
        docker*) client "$1" version --format '{{.Server.Version}}' ;;
        *-remote) client "$1" version --format '{{.Server.Version}}' ;;
        # Podman near us answers without its service, which must be up all the same.
        *) socket_answers "$1" && client "$1" version --format '{{.Client.Version}}' ;;
    esac
}

socket_answers() {
    curl -sf --unix-socket "$(engine_dir "$1")/podman.sock" http://d/_ping >/dev/null
}

client() {
    local name=$1
    shift
    "$(engine_dir "$name")/bin/${name%%[0-9]*}" "$@"
}

# DOCKER_HOST rather than --host: the user's --host or --context must still win, and Docker refuses two.
make_client() {
    local name=$1 dir
    dir=$(engine_dir "$name")
    case $name in
        docker20*) docker_client "$dir" /usr/bin/docker ;;
        docker28*) docker_client "$dir" "$(forky_command docker)" ;;
        podman4) podman_client "$dir" podman4 ;;
        podman5) podman_client "$dir" podman5 ;;
        podman4-remote) podman_client "$dir" podman4 --url "unix://$dir/podman.sock" ;;
        podman5-remote) podman_client "$dir" podman5 --url "unix://$dir/podman.sock" ;;
    esac
}

docker_client() {
    write_script "$1/bin/docker" "export DOCKER_HOST=unix://$1/docker.sock
exec $2 \"\$@\""
}

# podman_client DIR WORLD OPTION...: a Podman client runs in the world of the near engine, where its storage is.
podman_client() {
    local dir=$1 world=$2
    shift 2
    write_script "$dir/bin/podman" "export PODMAN_IGNORE_CGROUPSV1_WARNING=1
$(enter_script "$world") /usr/bin/podman $*${*:+ }\"\$@\""
}

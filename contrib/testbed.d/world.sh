# shellcheck shell=bash disable=SC2154
# A world is the mount namespace in which one engine lives, held open by a process that only sleeps. All that an engine
# would share with another one (or with the user's own) is private there: /run, /etc, /dev/shm, its data.

# Dockers also get a network namespace, one for all of them: a dockerd with --bridge=none deletes the docker0 of the
# namespace it runs in, which would break the user's own Docker.
make_docker_net() {
    ! is_running "$STATE/net.pid" || return 0
    # Without forwarding, which is of no use here, docker 28 warns at each start of a container.
    spawn "$STATE/net.pid" "$STATE/net.log" \
        unshare --net -- sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; ip link set lo up && exec sleep infinity'
    wait_for 10 lo_is_up || die "no network namespace, see $STATE/net.log"
}

lo_is_up() { in_docker_net ip link show up lo | grep -q lo; }

in_docker_net() { nsenter --target "$(pid_of "$STATE/net.pid")" --net -- "$@"; }

# Near engines of the host's own make see the host's file system. Those from forky, and all remote ones, see a root made of
# the programs and little else; that is also what keeps the work directory from the remote ones.
make_world() {
    local name=$1 dir
    dir=$(engine_dir "$name")
    ! is_running "$dir/world.pid" || return 0
    rm -f "$dir/world.ready"
    # shellcheck disable=SC2046
    spawn "$dir/world.pid" "$dir/log" $(net_prefix "$name") \
        unshare --mount --propagation slave -- \
        bash "$here/shape-world.sh" "$name" "$(base_of "$name")" "$STATE" "$DATA/data/$name" "$WORK"
    wait_for 15 test -e "$dir/world.ready" || die "no world for $name, see $dir/log"
}

net_prefix() {
    case $1 in docker*) echo "nsenter --target $(pid_of "$STATE/net.pid") --net --" ;; esac
}

# The root file system that the engine's programs come from.
base_of() {
    case $1 in
        docker20* | podman4*) echo / ;;
        *) echo "$ROOTFS" ;;
    esac
}

# enter NAME: the prefix which runs a command in that world.
enter() { echo "nsenter --target $(pid_of "$(engine_dir "$1")/world.pid") --mount --net --"; }

# The same as the text of a script, for programs that a test starts: keeps the current directory where the world has it.
enter_script() {
    cat <<END
read -r pid _ <$(engine_dir "$1")/world.pid || exit 125
[ -d "/proc/\$pid/root\$PWD" ] && dir=\$PWD || dir=/
exec nsenter --target "\$pid" --mount --wdns="\$dir" --
END
}

#!/bin/bash
# shape-world.sh NAME BASE STATE DATA WORK: gives the mount namespace in which it is started the look that the engine NAME
# shall have (see world.sh), says so by STATE/engines/NAME/world.ready, and holds the namespace open.
set -euo pipefail

name=$1 base=$2 state=$3 data=$4 work=$5
engine=$state/engines/$name
root=$data/root

is_remote() { [[ $name == *-remote ]]; }

# What is private in every world, prepared below $root. The engine's own directory keeps its path, so that the
# address of a socket is the same inside and outside.
make_private_parts() {
    mkdir -p "$root" "$data/tmp"
    chmod 1777 "$data/tmp"
    mount -t tmpfs -o mode=755 tmpfs "$root"
    mkdir -p "$root"/{run/lock,run/docker/plugins,etc,etc.upper,etc.work} "$root$engine"
    if is_remote; then
        mount --bind "$engine" "$root$engine"
    else
        mount --bind "$state" "$root$state"
    fi
    mount --bind "$engine/plugins" "$root/run/docker/plugins"
    mount -t overlay -o "lowerdir=${base%/}/etc,upperdir=$root/etc.upper,workdir=$root/etc.work" overlay "$root/etc"
    configure_podman
    configure_docker
}

# No network unless a test asks for it: a bridge would change the host's interfaces and firewall. The limits, because
# Podman 4 asks for more than root may have on a machine that withholds CAP_SYS_RESOURCE.
configure_podman() {
    mkdir -p "$root/etc/containers"
    cat >"$root/etc/containers/containers.conf" <<END
[containers]
netns = "none"
log_driver = "k8s-file"
default_ulimits = ["$(own_limit nofile -n 1048576)", "$(own_limit nproc -u "$(cat /proc/sys/kernel/pid_max)")"]

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"

[engine.volume_plugins]
artishim = "/run/docker/plugins/artishim.sock"
END
    cat >"$root/etc/containers/storage.conf" <<END
[storage]
driver = "$(storage_driver)"
graphroot = "$data/storage"
runroot = "/run/containers/storage"
END
}

# own_limit NAME OPTION MOST: the hard limit that "ulimit OPTION" tells, but not over MOST, as Podman writes it. MOST is
# what Podman lowers its own limit to before it starts a container.
own_limit() {
    local limit
    limit=$(ulimit -H "$2")
    [ "$limit" != unlimited ] && [ "$limit" -lt "$3" ] || limit=$3
    echo "$1=$limit:$limit"
}

# Neither the machine's settings for its own dockerd nor what that one has left behind.
configure_docker() {
    rm -rf "$root/etc/docker"
    mkdir -p "$root/etc/docker"
    echo '{}' >"$root/etc/docker/daemon.json"
}

# A user with the ids that containers need, and the directories that a login would give. Docker looks for plugins in the
# one; where XDG_CONFIG_HOME says so, it does not.
make_user() {
    local home=$data/home plugins=$data/home/.local/lib/docker/plugins
    echo "rootless:x:5000:5000::$home:/bin/sh" >>"$root/etc/passwd"
    echo 'rootless:x:5000:' >>"$root/etc/group"
    echo 'rootless:100000:65536' | tee "$root/etc/subuid" >"$root/etc/subgid"
    mkdir -p "$plugins" "$root/run/user/rootless" "$data/docker"
    echo "unix://$engine/plugins/artishim.sock" >"$plugins/artishim.spec"
    chown -R 5000:5000 "$home" "$root/run/user/rootless" "$data/docker" "$engine" "$engine/plugins"
    mknod -m 666 "$root/tun" c 10 200
}

# An overlay cannot lie on just any file system, another overlay for one.
storage_driver() {
    local try=$data/overlay-try driver=vfs
    mkdir -p "$try"/{lower,upper,work,merged}
    if mount -t overlay -o "lowerdir=$try/lower,upperdir=$try/upper,workdir=$try/work" overlay "$try/merged" 2>/dev/null; then
        umount "$try/merged"
        driver=overlay
    fi
    rm -rf "$try"
    echo "$driver"
}

# The host's file system with the private parts in their places.
use_host_root() {
    mount --rbind "$root/run" /run
    mount --rbind "$root/etc" /etc
    mount -t tmpfs tmpfs /dev/shm
    drop_unified_cgroup
}

# A root of its own: the base's programs, this kernel's file systems, the engine's data at its usual path.
use_own_root() {
    local dir
    mkdir -p "$root"/{usr,proc,sys,dev,tmp,root,home,opt,mnt,srv,old} "$root"/var/{lib,cache,log,tmp} "$root$data"
    chmod 1777 "$root/tmp"
    cp -P "${base%/}"/{bin,sbin,lib*} "$root/"
    mount --bind -o ro "${base%/}/usr" "$root/usr"
    for dir in proc sys dev; do
        mount --rbind "/$dir" "$root/$dir"
    done
    mount -t tmpfs tmpfs "$root/dev/shm"
    # Which everybody may use, as udev would have it.
    [ ! -e "$root/tun" ] || mount --bind "$root/tun" "$root/dev/net/tun"
    mount --bind "$data" "$root$data"
    mount --bind "$data/tmp" "$root/var/tmp"
    ln -s /run "$root/var/run"
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    if ! is_remote; then
        mkdir -p "$root$work"
        mount --rbind "$work" "$root$work"
    fi
    cd "$root"
    pivot_root . old
    umount --lazy /old
    drop_unified_cgroup
}

# crun will not run with the mixture of cgroups v1 and v2 that some machines have.
drop_unified_cgroup() {
    ! mountpoint -q /sys/fs/cgroup/unified || umount /sys/fs/cgroup/unified
}

make_private_parts
[[ $name != *-rootless ]] || make_user
if [ "$base" = / ] && ! is_remote; then
    use_host_root
else
    use_own_root
fi
touch "$engine/world.ready"
exec sleep infinity

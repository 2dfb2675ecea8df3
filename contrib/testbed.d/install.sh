# shellcheck shell=bash disable=SC2154
# The software: the host's own (Debian 12), and a root file system of Debian forky for what is newer.

HOST_PACKAGES=(docker.io docker-registry podman crun debootstrap busybox-static apache2-utils curl iproute2 nghttp2-server nginx-light openssl python3-venv)
ROOTFS_PACKAGES=(docker.io docker-cli docker-compose podman catatonit crun skopeo oras crane llama.cpp-tools iproute2 ca-certificates rootlesskit uidmap slirp4netns)
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

install_host_packages() {
    # shellcheck source=/dev/null
    [ "$(. /etc/os-release && echo "$ID$VERSION_ID")" = debian12 ] || die "made for Debian 12"
    local package missing=()
    for package in "${HOST_PACKAGES[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    keep_services_down
    apt_get update
    apt_get install -y --no-install-recommends "${missing[@]}"
    remove_policy
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The packages bring services of their own, which must not run only because a test wanted the programs.
# A policy that is there already is the machine's, and stays in force.
keep_services_down() {
    [ ! -e /usr/sbin/policy-rc.d ] || return 0
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap remove_policy EXIT
    our_policy=yes
}

remove_policy() {
    [ -z "${our_policy-}" ] || rm -f /usr/sbin/policy-rc.d
    our_policy=
}

# Mirrors fail now and then; what they fail with is shown only if it stays so.
apt_get() {
    local try out
    for try in 1 2 3; do
        if out=$(DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=5 "$@" 2>&1 9>&-); then
            return 0
        fi
        sleep $((try * 5))
    done
    echo "$out" >&2
    die "apt-get $1 failed"
}

# The stamp names what the cached root file system holds, so a changed list makes a new one.
install_rootfs() {
    local stamp="1 ${ROOTFS_PACKAGES[*]}"
    [ "$(cat "$ROOTFS/artishim-stamp" 2>/dev/null)" != "$stamp" ] || return 0
    [ ! -e "$STATE" ] || die "the list of packages has changed: run 'testbed down' first"
    say "building the forky root file system in $CACHE"
    build_rootfs "$ROOTFS.new" >"$CACHE/build.log" 2>&1 || die "failed, see $CACHE/build.log"
    echo "$stamp" >"$ROOTFS.new/artishim-stamp"
    rm -rf --one-file-system "$ROOTFS"
    mv "$ROOTFS.new" "$ROOTFS"
}

# In a mount namespace of its own: what debootstrap mounts is gone when it ends, however it ends.
build_rootfs() {
    rm -rf --one-file-system "$1"
    unshare --mount --propagation private -- \
        bash "$here/rootfs.sh" "$1" "$(debian_mirror)" "$KEYRING" "${ROOTFS_PACKAGES[@]}" 9>&-
}

# Where this machine itself gets Debian from.
debian_mirror() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Codename: bookworm' 'Component: main' |
        head -n 1
}

make_tools() {
    local tool
    for tool in oras skopeo crane docker-compose; do
        write_script "$STATE/tools/$tool" "exec $(forky_command "$tool") \"\$@\""
    done
    # These find their plugins by absolute path and so must see forky's /usr; only the work directory is visible to them.
    for tool in llama-server llama-cli llama-completion llama-bench llama-quantize; do
        write_script "$STATE/tools/$tool" "$(enter_script podman5) /usr/bin/$tool \"\$@\""
    done
}

# forky's programs run on the host's own file system, with forky's loader and libraries: so they see all paths, the
# current directory and the user's configuration as a program of the host does.
forky_command() {
    local loader=("$ROOTFS"/usr/lib*/ld-linux-*.so.*)
    echo "${loader[0]} --argv0 $1 --library-path $ROOTFS/usr/lib/$(uname -m)-linux-gnu $ROOTFS/usr/bin/$1"
}

# By rename: a test may just be running the script.
write_script() {
    printf '#!/bin/sh\n%s\n' "$2" >"$1.new"
    chmod +x "$1.new"
    mv "$1.new" "$1"
}

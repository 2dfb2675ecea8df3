#!/bin/bash
# rootfs.sh DIR MIRROR KEYRING PACKAGE...: makes a Debian forky root file system. Runs in a mount namespace of its own.
set -euo pipefail

dir=$1 mirror=$2 keyring=$3
shift 3

# bookworm's debootstrap does not know forky by name; "sid" is the script for everything new. bookworm's keyring has the
# key that signs forky; with --force-check-gpg a missing key is an error rather than a warning.
debootstrap --variant=minbase --force-check-gpg --keyring="$keyring" \
    forky "$dir" "$mirror" /usr/share/debootstrap/scripts/sid

# The machine's own apt settings (proxy, clock checks) hold in here as well.
apt-config dump | grep -E '^Acquire::(Check-|http|https)' >"$dir/etc/apt/apt.conf.d/90machine" || true
cp -L /etc/resolv.conf /etc/hosts "$dir/etc/"
printf '#!/bin/sh\nexit 101\n' >"$dir/usr/sbin/policy-rc.d"
chmod +x "$dir/usr/sbin/policy-rc.d"

mountpoint -q "$dir/proc" || mount -t proc proc "$dir/proc"
mount --rbind /dev "$dir/dev"

in_root() {
    local try
    for try in 1 2 3; do
        ! chroot "$dir" env DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@" || return 0
        sleep $((try * 5))
    done
    return 1
}

in_root apt-get -o Acquire::Retries=5 update
in_root apt-get -o Acquire::Retries=5 install -y --no-install-recommends "$@"
in_root apt-get clean
rm -rf "$dir"/var/lib/apt/lists/* "$dir/etc/apt/apt.conf.d/90machine"

# shellcheck shell=bash disable=SC2016,SC2034,SC2154
# Who is measured. Each function sets `command`, which pulls bench/$shape:1 from $address into the empty directory $dest.

CONTESTANTS=(artishim podman oras oras16 skopeo curl aria2c limit)

# As its users run it, with up to 24 connections. Without an engine: Podman 5.7 would be asked to pull into its own store.
contestant_artishim() {
    command=(env "ARTISHIM_CACHE=$own/cache" "$artishim" --engine none --store "$dest" --progress quiet
        pull "$address/bench/$shape:1")
}

# A store of its own, whose database is there already as it would be for a user.
contestant_podman() {
    command=("$state/engines/podman5/bin/podman" --root "$own/podman" --runroot "$own/podman-run")
    [ -e "$own/podman" ] || "${command[@]}" info >/dev/null
    rm -r "$dest"
    dest=$own/podman/artifacts
    command+=(artifact pull --quiet --tls-verify=false "$address/bench/$shape:1")
}

# Three blobs at once.
contestant_oras() {
    command=("$state/tools/oras" pull --no-tty --plain-http --output "$dest" "$address/bench/$shape:1")
}

contestant_oras16() {
    contestant_oras
    command+=(--concurrency 16)
}

# It notes what it saw where in a file of the user's (root's), for which it is given another one.
contestant_skopeo() {
    rm -rf "$own/skopeo-cache"
    mkdir -p "$own/skopeo-cache" /var/lib/containers/cache
    command=(unshare --mount sh -c 'mount --bind "$1" /var/lib/containers/cache && shift && exec "$@"' sh
        "$own/skopeo-cache" "$state/tools/skopeo" copy --quiet --src-tls-verify=false
        "docker://$address/bench/$shape:1" "oci:$dest:1")
}

# The blobs as a list for others: awk's printf, given digest, size and file.
for_blobs() {
    awk -v url="http://$address/v2/bench/$shape/blobs/" -v path="/v2/bench/$shape/blobs/" -v dest="$dest/" \
        "{ printf $1 }" "$dir/$shape.blobs" >"$own/list"
}

# Not verified. One stream; several blobs: 16 at once.
contestant_curl() {
    for_blobs '"url = \"%s\"\noutput = \"%s\"\n", url $1, dest $3'
    command=(curl --silent --show-error --fail --parallel --parallel-max 16 --config "$own/list")
}

# Not verified. Its fastest way to make a file of the right size on ext4.
contestant_aria2c() {
    for_blobs '"%s\n dir=%s\n out=%s\n", url $1, dest, $3'
    command=(aria2c --quiet --no-conf --file-allocation=falloc -x16 -s16 -j16 --input-file "$own/list")
}

# Receive and write, nothing else, into space that was asked for before: what no pull with as many connections can beat.
# Sixteen of them, and two where more are only in each other's way.
contestant_limit() {
    local connections=16 file size
    [ "$link" != lo ] || [ "$shape" = small ] || connections=2
    for_blobs '"%s %s %s\n", path $1, $2, dest $3'
    while read -r _ size file; do
        [ "$size" -lt 1000000 ] || { : >"$file" && fallocate --keep-size --length "$size" "$file"; }
    done <"$own/list"
    command=(sh -c 'exec "$1" fetch "$2" "$3" <"$4"' sh "$helper" "$address" "$connections" "$own/list")
}

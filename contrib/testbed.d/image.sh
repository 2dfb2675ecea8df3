# shellcheck shell=bash
# The image that all engines have: a static busybox, and the files that the rules for a mount's destination depend on.

BASE_IMAGE=localhost/artishim-test/base:1

make_base_tar() {
    local dir
    [ ! -s "$STATE/base.tar" ] || return 0
    dir=$(mktemp -d "$DATA/base.XXXXXX")
    mkdir -p "$dir"/{bin,data,etc,root,tmp}
    chmod 755 "$dir"
    chmod 1777 "$dir/tmp"
    cp /bin/busybox "$dir/bin/"
    chroot "$dir" /bin/busybox --install -s /bin
    echo beside >"$dir/data/beside"
    echo old >"$dir/etc/model.gguf"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$dir/etc/passwd"
    tar -C "$dir" --sort=name --mtime=@0 --numeric-owner --owner=0 --group=0 -cf "$STATE/base.tar.new" .
    mv "$STATE/base.tar.new" "$STATE/base.tar"
    rm -rf "$dir"
}

import_base_image() {
    client "$1" image inspect "$BASE_IMAGE" >/dev/null 2>&1 ||
        client "$1" import - "$BASE_IMAGE" <"$STATE/base.tar" >>"$(engine_dir "$1")/log" 2>&1 ||
        die "cannot import $BASE_IMAGE into $1, see $(engine_dir "$1")/log"
}

# The same with llama.cpp's server of forky, for the engines that a test gives it to.
make_llama_tar() {
    local programs
    [ ! -s "$STATE/llama.tar" ] || return 0
    programs=(/usr/bin/llama-server "$ROOTFS"/usr/lib/*/ggml/backends*/libggml-cpu-*.so)
    programs=("${programs[@]#"$ROOTFS"}")
    cp "$STATE/base.tar" "$STATE/llama.tar.new"
    { chroot "$ROOTFS" ldd "${programs[@]}" | grep -o '/[^ :]*'; printf '%s\n' "${programs[@]}"; } | cut -c 2- | sort -u |
        tar -C "$ROOTFS" --dereference --no-recursion --owner=0 --group=0 -T - -rf "$STATE/llama.tar.new"
    mv "$STATE/llama.tar.new" "$STATE/llama.tar"
}

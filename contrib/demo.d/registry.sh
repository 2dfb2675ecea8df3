# shellcheck shell=bash disable=SC2034,SC2153
# A registry on loopback, and a model put into it as a ModelPack artifact (github.com/modelpack/model-spec).

MODELPACK=application/vnd.cncf.model

# The kernel chooses the port; the log tells it.
start_registry() {
    cat >"$STATE/registry.yml" <<END
version: 0.1
log: {level: info, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $DATA/registry}}
http: {addr: "127.0.0.1:0", secret: artishim-demo}
END
    spawn "$STATE/registry.pid" "$STATE/registry.log" docker-registry serve "$STATE/registry.yml"
    wait_for 15 registry_address || die "no registry: $(tail -n 3 "$STATE/registry.log")"
    REGISTRY=$(registry_address)
}

registry_address() { grep -o -m 1 '127\.0\.0\.1:[1-9][0-9]*' "$STATE/registry.log"; }

# Pushes MODEL_FILE to REPOSITORY; sets REFERENCE and MANIFEST_DIGEST.
push_model() {
    local file=$MODEL_FILE repository=$REPOSITORY layer config=$DATA/config.json manifest=$DATA/manifest.json
    REFERENCE=$REGISTRY/$repository:latest
    say "pushing ${file##*/} to $REFERENCE as a ModelPack artifact"
    layer=$(descriptor "$file" "$MODELPACK.weight.v1.raw" \
        ",\"annotations\":{\"org.cncf.model.filepath\":\"${file##*/}\",\"org.opencontainers.image.title\":\"${file##*/}\"}")
    printf '{"descriptor":{"name":"%s"},"config":{"format":"gguf"},"modelfs":{"type":"layers","diffIds":["%s"]}}' \
        "${repository##*/}" "$(digest "$file")" >"$config"
    printf '{"schemaVersion":2,"mediaType":"%s","artifactType":"%s","config":%s,"layers":[%s]}' \
        application/vnd.oci.image.manifest.v1+json "$MODELPACK.manifest.v1+json" \
        "$(descriptor "$config" "$MODELPACK.config.v1+json")" "$layer" >"$manifest"
    push_blob "$repository" "$file"
    push_blob "$repository" "$config"
    ask_registry -T "$manifest" -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
        "http://$REGISTRY/v2/$repository/manifests/latest"
    MANIFEST_DIGEST=$(digest "$manifest")
}

# descriptor FILE MEDIA-TYPE [MORE-JSON]
descriptor() {
    printf '{"mediaType":"%s","digest":"%s","size":%s%s}' "$2" "$(digest "$1")" "$(stat -c %s "$1")" "${3-}"
}

digest() { sha256sum "$1" | sed 's/^\([0-9a-f]*\).*/sha256:\1/'; }

push_blob() {
    local repository=$1 file=$2 place
    place=$(ask_registry -X POST -D - "http://$REGISTRY/v2/$repository/blobs/uploads/" |
        sed -n 's/^location: *\([^\r]*\).*/\1/Ip')
    ask_registry -T "$file" -H 'Content-Type: application/octet-stream' "$place&digest=$(digest "$file")"
}

ask_registry() { curl --silent --show-error --fail --noproxy '*' "$@"; }

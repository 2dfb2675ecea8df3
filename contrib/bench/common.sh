# shellcheck shell=bash disable=SC2034,SC2154
# What the benchmarks of pulling share: the programs, a registry with known models, and three ways to it.
#
#   lo    straight, on loopback
#   cap   behind nginx, which gives each connection 50 MiB/s, as CDNs and object stores do
#   rtt   40 ms there and back, see link/src/delay.rs

# A decimal point, whatever the user's language writes.
export LC_ALL=C

state=/run/artishim-testbed
work=/var/lib/artishim-testbed/work
bench=contrib/bench

CAP=50m
RTT_MS=40
# On the way in one connection at once: with it one stream needs 14 s for 1 GiB at 40 ms, as the kernel's own TCP did there.
RTT_WINDOW=3145728
SHAPES=(one many small)
LINKS=(lo cap rtt)
GIB=1073741824

# The testbed's way to install packages and to keep processes.
for part in common install registry; do
    # shellcheck source=/dev/null
    source "contrib/testbed.d/$part.sh"
done

say() { echo "bench: $*" >&2; }

install_tools() {
    HOST_PACKAGES=(nginx-light aria2 curl time openssl)
    # In a shell of its own: it holds a lock until it ends, and has traps.
    (with_lock install_host_packages)
}

build() {
    [ -n "${program-}" ] || cargo build --release --quiet
    cargo build --release --quiet --manifest-path "$bench/link/Cargo.toml" --target-dir "$(target_directory)"
    artishim=${program:-$(target_directory)/release/artishim}
    export ARTISHIM_BENCH_PROGRAM=$artishim
    helper=$(target_directory)/release/artishim-bench-link
}

target_directory() {
    cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# shape NAME: how many blobs, and bytes of each.
shape() {
    case $1 in
        one) echo "1 $GIB" ;;
        many) echo "16 67108864" ;;
        small) echo "2000 16384" ;;
        *) die "no shape $1; there are: ${SHAPES[*]}" ;;
    esac
}

shape_bytes() {
    local count size
    read -r count size < <(shape "$1")
    echo $((count * size))
}

free_port() {
    local port=$((20000 + RANDOM % 10000))
    while port_answers "$port"; do
        port=$((port + 1))
    done
    echo "127.0.0.1:$port"
}

# use_or_start_links FILE DIR SHAPE...: those that FILE tells of, or if there is none new ones which live in DIR.
use_or_start_links() {
    local file=$1
    shift
    [ -n "$file" ] || { start_links "$@" && file=$1/links; }
    # shellcheck source=/dev/null
    source "$file"
}

# start_links DIR SHAPE...: the registry with these shapes and all links; DIR/links says where.
start_links() {
    local dir=$1 name
    shift
    lo=$(free_port) cap=$(free_port) rtt=$(free_port)
    start_bench_registry "$dir"
    start_cap "$dir"
    spawn "$dir/rtt.pid" "$dir/rtt.log" "$helper" delay "$rtt" "$lo" "$RTT_MS" "$RTT_WINDOW"
    for name in "${LINKS[@]}"; do
        wait_for 15 port_answers "${!name#*:}" || die "no $name, see $dir/*.log"
    done
    for name; do
        with_machine push_shape "$dir" "$name"
    done
    printf '%s\n' "dir=$dir" "lo=$lo" "cap=$cap" "rtt=$rtt" >"$dir/links"
}

# What lives in DIR, and DIR itself, which may still be written to by what has just been ended.
stop_links() {
    local file
    for file in "$1"/*.pid; do
        [ ! -e "$file" ] || stop_process "$file" TERM
    done
    wait_for 5 rm -rf "$1"
}

# Its access log is what counts the bytes that each contestant was sent.
start_bench_registry() {
    cat >"$1/registry.yml" <<END
version: 0.1
log: {level: error, accesslog: {disabled: false}}
storage:
  filesystem: {rootdirectory: $1/registry}
http: {addr: "$lo", secret: artishim}
END
    spawn "$1/registry.pid" "$1/registry.log" docker-registry serve "$1/registry.yml"
}

# Pieces so large that the limit is kept by waiting after each of them, and never a file between.
start_cap() {
    mkdir -p "$1/nginx"
    cat >"$1/nginx.conf" <<END
user root;
daemon off;
worker_processes 2;
pid $1/nginx/pid;
error_log stderr error;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path $1/nginx/body;
    proxy_temp_path $1/nginx/proxy;
    fastcgi_temp_path $1/nginx/fastcgi;
    uwsgi_temp_path $1/nginx/uwsgi;
    scgi_temp_path $1/nginx/scgi;
    keepalive_requests 1000000;
    upstream registry { server $lo; keepalive 64; keepalive_requests 1000000; }
    server {
        listen $cap;
        client_max_body_size 0;
        location / {
            limit_rate $CAP;
            proxy_pass http://registry;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host \$http_host;
            proxy_request_buffering off;
            proxy_max_temp_file_size 0;
            proxy_buffers 8 256k;
            proxy_busy_buffers_size 1m;
        }
    }
}
END
    spawn "$1/cap.pid" "$1/cap.log" nginx -e stderr -c "$1/nginx.conf"
}

# push_shape DIR NAME: as bench/NAME:1, and DIR/NAME.blobs with a line "digest size file" for each blob.
push_shape() {
    local dir=$1 name=$2 count size number files=()
    read -r count size < <(shape "$name")
    say "pushing $name: $count x $size bytes"
    mkdir -p "$dir/push"
    for number in $(seq -w "$count"); do
        head -c "$size" /dev/urandom >"$dir/push/$number.gguf"
        files+=("$number.gguf:application/vnd.cncf.model.weight.v1.raw")
    done
    (cd "$dir/push" && "$state/tools/oras" push --plain-http --no-tty \
        --artifact-type application/vnd.cncf.model.manifest.v1+json "$lo/bench/$name:1" "${files[@]}" >/dev/null)
    (cd "$dir/push" && openssl sha256 -r ./*.gguf) | sed "s|\(.*\) \*\./\(.*\)|sha256:\1 $size \2|" >"$dir/$name.blobs"
    rm -r "$dir/push"
}

# Bytes of blobs which the registry has sent so far, once no request is being ended any more.
bytes_sent() {
    local before=-1 now=0
    while [ "$before" != "$now" ]; do
        sleep 0.3
        before=$now
        now=$(awk '$6 == "\"GET" && $7 ~ /\/blobs\// { sum += $10 } END { printf "%.0f\n", sum }' "$dir/registry.log")
    done
    echo "$now"
}

# A virtual machine may have to get memory from its host, which costs more than the pull. What was just freed is there,
# but large pieces of a file lie in other memory than small ones, so twice as often as one would think.
warm_memory() {
    local pieces=$((($(shape_bytes "$1") + GIB / 4) / 524288))
    for _ in 1 2; do
        dd if=/dev/zero of="$own/warm" bs=512k count="$pieces" status=none
        rm "$own/warm"
    done
}

# take_time COMMAND...: its wall time, in `seconds`. In a process group of its own, which end_child ends.
take_time() {
    local from to
    from=${EPOCHREALTIME/./}
    setsid "$@" >"$own/out" 2>&1 </dev/null 8>&- &
    child=$!
    wait "$child" || die "$* failed: $(tail -n 5 "$own/out")"
    to=${EPOCHREALTIME/./}
    child=
    seconds=$(printf '%d.%06d' $(((to - from) / 1000000)) $(((to - from) % 1000000)))
}

end_child() {
    [ -z "${child-}" ] || kill -- "-$child" 2>/dev/null || true
}

# sync_files DIR: how long it takes until all is on the disk, in `seconds`. Also leaves the disk idle for who comes next.
sync_files() {
    # shellcheck disable=SC2016
    take_time sh -c 'find "$1" -type f -print0 | xargs -0 -r sync' sh "$1"
}

# median: of the numbers on stdin.
median() { sort -g | awk '{ value[NR] = $1 } END { print (value[int((NR + 1) / 2)] + value[int((NR + 2) / 2)]) / 2 }'; }

# On a machine that others measure on too, the file named by ARTISHIM_BENCH_LOCK is held while something is measured.
with_machine() {
    if [ -z "${ARTISHIM_BENCH_LOCK-}" ]; then
        "$@"
        return
    fi
    exec 8>"$ARTISHIM_BENCH_LOCK"
    flock 8
    "$@"
    exec 8>&-
}

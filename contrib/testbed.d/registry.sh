# shellcheck shell=bash
# Three registries: an open one, one with a password, and the open one's data again by HTTPS. Each runs twice on the same
# data: on the host, and in the network namespace of the Dockers, whose 127.0.0.1 is another one; so one reference serves
# all engines.

REGISTRIES=(open auth tls)

start_registries() {
    local name
    mkdir -p "$STATE/registries"
    choose_ports
    echo "127.0.0.1:$(port_of open)" >"$STATE/registry"
    echo "127.0.0.1:$(port_of auth) artishim secret" >"$STATE/registry-auth"
    echo "127.0.0.1:$(port_of tls)" >"$STATE/registry-tls"
    make_certificate
    write_registries_conf
    [ -s "$STATE/registries/htpasswd" ] || htpasswd -Bbn artishim secret >"$STATE/registries/htpasswd"
    for name in "${REGISTRIES[@]}"; do
        write_registry_config "$name"
        start_registry "$name" host
        start_registry "$name" docker nsenter --target "$(pid_of "$STATE/net.pid")" --net --
    done
    for name in "${REGISTRIES[@]}"; do
        wait_for 15 registry_answers "$name" || die "no registry $name, see $STATE/registries/$name-host.log"
        wait_for 15 registry_answers "$name" in_docker_net ||
            die "no registry $name for the Dockers, see $STATE/registries/$name-docker.log"
    done
}

# registry_answers NAME [PREFIX]: as that one does, and no other on its port.
registry_answers() {
    local name=$1 scheme=http status=200
    shift
    [ "$name" != tls ] || scheme=https
    [ "$name" != auth ] || status=401
    [ "$("$@" curl -sk -o /dev/null -w '%{http_code}' "$scheme://127.0.0.1:$(port_of "$name")/v2/")" = "$status" ]
}

# start_registry NAME PLACE [PREFIX...]
start_registry() {
    local file=$STATE/registries/$1-$2 config=$STATE/registries/$1.yml
    shift 2
    is_running "$file.pid" || spawn "$file.pid" "$file.log" "$@" docker-registry serve "$config"
}

port_of() { cat "$STATE/registries/$1.port"; }

port_answers() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below the range from which the kernel takes ports for connections.
choose_ports() {
    local name port
    for name in "${REGISTRIES[@]}"; do
        [ ! -s "$STATE/registries/$name.port" ] || continue
        port=$((20000 + RANDOM % 10000))
        while port_answers "$port" || is_chosen "$port"; do
            port=$((port + 1))
        done
        echo "$port" >"$STATE/registries/$name.port"
    done
}

is_chosen() { cat "$STATE"/registries/*.port 2>/dev/null | grep -qx "$1"; }

# For programs that cannot be told --tls-verify=false: CONTAINERS_REGISTRIES_CONF=/run/artishim-testbed/registries.conf
write_registries_conf() {
    local name
    for name in "${REGISTRIES[@]}"; do
        printf '[[registry]]\nlocation = "127.0.0.1:%s"\ninsecure = true\n\n' "$(port_of "$name")"
    done >"$STATE/registries.conf"
}

# No cache: what is deleted through one process must be gone in the other. The same secret: an upload may go on in the other.
write_registry_config() {
    local data=$1
    [ "$1" != tls ] || data=open
    {
        cat <<END
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: $DATA/registries/$data}
  delete: {enabled: true}
http:
  addr: "127.0.0.1:$(port_of "$1")"
  secret: artishim
END
        [ "$1" != tls ] || echo "  tls: {certificate: $STATE/registries/tls.pem, key: $STATE/registries/tls.key}"
        [ "$1" != auth ] || echo "auth: {htpasswd: {realm: artishim-testbed, path: $STATE/registries/htpasswd}}"
    } >"$STATE/registries/$1.yml"
}

# SSL_CERT_FILE=/run/artishim-testbed/registries/ca.pem trusts it. An authority of its own, as rustls takes none for a server.
make_certificate() {
    local file=$STATE/registries new=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
    [ ! -s "$file/ca.pem" ] || return 0
    {
        openssl req -x509 "${new[@]}" -days 30 -subj /CN=artishim-testbed -keyout "$file/ca.key" -out "$file/ca.new" &&
            openssl req "${new[@]}" -subj /CN=127.0.0.1 -keyout "$file/tls.key" -out "$file/tls.csr" &&
            openssl x509 -req -in "$file/tls.csr" -CA "$file/ca.new" -CAkey "$file/ca.key" -set_serial 1 -days 30 \
                -extfile <(echo subjectAltName=IP:127.0.0.1) -out "$file/tls.pem"
    } >"$file/certificate.log" 2>&1 || die "no certificate, see $file/certificate.log"
    mv "$file/ca.new" "$file/ca.pem"
}

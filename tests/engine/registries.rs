//! registries.conf, followed by us as by skopeo.

use crate::workshop::Workshop;

/// What both find under a name with a file of these words; nothing where they refuse.
fn found(shop: &Workshop, conf: &str, name: &str) -> [Option<String>; 2] {
    shop.write("registries.conf", conf.as_bytes());
    let skopeo = shop.try_run(&format!(
        "skopeo --registries-conf $PWD/registries.conf inspect --raw docker://{name} | sha256sum | cut -d' ' -f1"
    ));
    let ours = shop.try_run(&format!(
        "export CONTAINERS_REGISTRIES_CONF=$PWD/registries.conf HOME=$PWD/home
        {0} --engine none --store $PWD/theirs rm --all >/dev/null
        {0} --engine none --store $PWD/theirs pull --quiet {name}
        {0} --engine none --store $PWD/theirs ls --quiet --no-trunc",
        env!("CARGO_BIN_EXE_artishim")
    ));
    let empty = artishim::digest::Digest::sha256(b"").hex().to_owned();
    [skopeo, ours].map(|said| Some(said.stdout.trim().to_owned()).filter(|said| !said.is_empty() && *said != empty))
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn names_lead_where_skopeo_is_led_by_the_same_file() {
    let shop = Workshop::new("registries");
    shop.run("oras push --plain-http $REF tiny.gguf");
    let (reference, repository) = (shop.reference(), shop.run("echo $REPO").trim().to_owned());
    let digest = shop.run("crane digest --insecure $REF").trim().trim_start_matches("sha256:").to_owned();
    let host = repository.split('/').next().unwrap();
    let below = repository.strip_prefix(&format!("{host}/")).unwrap();
    let (folder, leaf) = below.rsplit_once('/').unwrap();
    let own = format!("location = \"{host}\"\ninsecure = true\n");
    let dead = "127.0.0.1:1";
    let cases = [
        (
            format!("[[registry]]\nprefix = \"models.example.com\"\n{own}"),
            format!("models.example.com/{below}:1"),
            true,
        ),
        (
            format!(
                "[[registry]]\nprefix = \"models.example.com/a\"\nlocation = \"{host}/{folder}\"\ninsecure = true\n"
            ),
            format!("models.example.com/a/{leaf}:1"),
            true,
        ),
        (
            format!("[[registry]]\nprefix = \"*.example.com\"\n{own}"),
            format!("deep.models.example.com/{below}:1"),
            true,
        ),
        (
            format!("[[registry]]\n{own}[[registry.mirror]]\nlocation = \"{dead}/x\"\ninsecure = true\n"),
            reference.clone(),
            true,
        ),
        (
            format!(
                "[[registry]]\nlocation = \"{dead}\"\ninsecure = true\n[[registry.mirror]]\nlocation = \"{host}/{folder}\"\n\
                insecure = true\npull-from-mirror = \"tag-only\"\n"
            ),
            format!("{dead}/{leaf}:1"),
            // Its blobs are asked for by digest, and skopeo takes them from where the manifest came from.
            true,
        ),
        (format!("[[registry]]\n{own}blocked = true\n"), reference.clone(), false),
        (format!("[[registry]]\n{own}[[registry]]\nprefix = \"{repository}\"\nblocked = true\n"), reference, false),
        (String::from("[[registry]]\nlocation = \"http://x\"\n"), format!("{host}/{below}:1"), false),
    ];
    for (conf, name, is_found) in cases {
        let expected = is_found.then(|| digest.clone());
        assert_eq!(found(&shop, &conf, &name), [expected.clone(), expected], "{name} by {conf}");
    }
}

/// A docker-registry that takes only who has a certificate of an authority of its own.
const REGISTRY_WITH_CERTIFICATES: &str = r#"
    mkdir certs mine && cd certs
    request() { openssl req -newkey rsa:2048 -nodes -keyout $1.key -subj /CN=$1 -out $1.csr; }
    sign() { openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem; }
    {
        openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -subj /CN=authority -days 2 -out ca.pem
        echo subjectAltName=IP:127.0.0.1 >server.ext && request server && sign server
        echo extendedKeyUsage=clientAuth >client.ext && request client && sign client
        # Before ours comes one that the registry does not want.
        openssl req -x509 -newkey rsa:2048 -nodes -keyout ../mine/another.key -subj /CN=other -days 2 -out ../mine/another.cert
    } >log 2>&1
    cp ca.pem ../mine/ca.crt && cp client.pem ../mine/client.cert && cp client.key ../mine/client.key
    port=$(($$ % 20000 + 30000))
    cat >registry.yml <<END
version: 0.1
storage: {filesystem: {rootdirectory: $PWD/data}}
http:
  addr: 127.0.0.1:$port
  tls: {certificate: $PWD/server.pem, key: $PWD/server.key, clientcas: [$PWD/ca.pem]}
END
    docker-registry serve registry.yml >>log 2>&1 &
    trap "kill $!" EXIT
    until curl -s --cacert ca.pem --cert client.pem --key client.key https://127.0.0.1:$port/v2/ >/dev/null; do sleep 0.1; done
    cd ..
    artishim() { ARTISHIM --engine none --store $PWD/store --tls-verify=true --retry 0 "$@"; }
    export HOME=$PWD/home
    name=127.0.0.1:$port/acme/m:1
    artishim add $name tiny.gguf >/dev/null
"#;

#[test]
#[ignore = "needs root and contrib/testbed"]
fn certificates_are_taken_from_where_podman_takes_them() {
    let shop = Workshop::new("registries");
    let begin = REGISTRY_WITH_CERTIFICATES.replace("ARTISHIM", env!("CARGO_BIN_EXE_artishim"));
    let said = shop.run(&format!(
        "{begin}
        mkdir authority && cp mine/ca.crt authority
        artishim push --quiet $name 2>&1 || echo unknown authority: $?
        artishim --cert-dir authority push --quiet $name 2>&1 || echo no certificate: $?
        artishim --cert-dir mine push --quiet $name && echo pushed
        artishim rm $name >/dev/null
        mkdir -p $HOME/.config/containers/certs.d && cp -r mine $HOME/.config/containers/certs.d/127.0.0.1:$port
        artishim pull --quiet $name && artishim extract $name out && cmp out tiny.gguf && echo pulled
        rm $HOME/.config/containers/certs.d/*/client.key
        artishim pull --quiet $name 2>&1 || echo no key: $?"
    ));
    for expected in
        ["unknown authority: 125", "no certificate: 125", "pushed\n", "pulled\n", "client.key", "no key: 125"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

/// A docker-registry with a certificate as in Docker's manual, which is its own authority.
const REGISTRY_WITH_ITS_OWN_CERTIFICATE: &str = r#"
    make() { openssl req -x509 -newkey rsa:2048 -nodes -keyout $1.key -subj /CN=$1 -days 2 -addext subjectAltName=$2 -out $1.crt 2>>log; }
    make server IP:127.0.0.1 && make other IP:127.0.0.1 && mkdir right wrong && cp server.crt right && cp other.crt wrong
    port=$(($$ % 20000 + 30000))
    cat >registry.yml <<END
version: 0.1
storage: {filesystem: {rootdirectory: $PWD/data}}
http:
  addr: 127.0.0.1:$port
  tls: {certificate: $PWD/server.crt, key: $PWD/server.key}
END
    docker-registry serve registry.yml >>log 2>&1 &
    trap "kill $!" EXIT
    until curl -s --cacert server.crt https://127.0.0.1:$port/v2/ >/dev/null; do sleep 0.1; done
    export HOME=$PWD/home
    name=127.0.0.1:$port/acme/m:1
    oras push --ca-file server.crt $name tiny.gguf >>log
"#;

#[test]
#[ignore = "needs root and contrib/testbed"]
fn certificate_that_is_its_own_authority_is_believed_where_it_was_put_and_for_its_names() {
    let shop = Workshop::new("registries");
    let said = shop.run(&format!(
        r#"{REGISTRY_WITH_ITS_OWN_CERTIFICATE}
        ours() {{ {} --engine none --store $PWD/store --retry 0 --tls-verify=true --cert-dir $1 pull --quiet $2 2>>errors; }}
        theirs() {{ skopeo inspect --raw --tls-verify=true --cert-dir $1 docker://$2 >>log 2>>errors; }}
        for who in ours theirs; do
            for where in right wrong; do $who $where $name && echo $who $where || echo $who $where: no; done
            $who right localhost:$port/acme/m:1 && echo $who localhost || echo $who localhost: no
        done"#,
        env!("CARGO_BIN_EXE_artishim")
    ));
    let expected = "right\nWHO wrong: no\nWHO localhost: no\n";
    let expected = ["ours", "theirs"].map(|who| format!("WHO {expected}").replace("WHO", who)).concat();
    assert_eq!(said, expected);
}

/// nghttpd, which knows no HTTP/1.1, with the files of a registry; `$name` is a model of it.
const REGISTRY_OF_HTTP2: &str = r#"
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -subj /CN=h2 -days 2 -out ca.crt \
        -addext subjectAltName=IP:127.0.0.1 2>log
    oras push --oci-layout layout:1 tiny.gguf >>log
    manifest=$(oras manifest fetch --oci-layout layout:1)
    mkdir -p www/v2/acme/m/manifests www/v2/acme/m/blobs
    printf %s "$manifest" >www/v2/acme/m/manifests/1
    for blob in layout/blobs/sha256/*; do cp $blob www/v2/acme/m/blobs/sha256:${blob##*/}; done
    port=$(($$ % 20000 + 30000))
    nghttpd --address=127.0.0.1 -d www $port key.pem ca.crt >>log 2>&1 &
    trap "kill $!" EXIT
    until curl -s --cacert ca.crt --http2-prior-knowledge https://127.0.0.1:$port/ >/dev/null; do sleep 0.1; done
    name=127.0.0.1:$port/acme/m:1
"#;

#[test]
#[ignore = "needs root and contrib/testbed"]
fn registry_that_speaks_nothing_but_http2_is_pulled_from() {
    let shop = Workshop::new("registries");
    let said = shop.run(&format!(
        "{REGISTRY_OF_HTTP2}
        ! curl -s --http1.1 --cacert ca.crt https://$name >/dev/null || echo HTTP/1.1 >&2
        mkdir authority && cp ca.crt authority
        artishim() {{ {} --engine none --store $PWD/store --retry 0 --cert-dir authority --tls-verify=true \"$@\"; }}
        artishim pull --quiet $name && artishim extract $name out && cmp out tiny.gguf && echo pulled",
        env!("CARGO_BIN_EXE_artishim")
    ));
    assert_eq!(said, "pulled\n");
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn policy_lets_pass_what_skopeo_lets_pass_by_the_same_file() {
    let shop = Workshop::new("registries");
    shop.run("oras push --plain-http $REF tiny.gguf && mkdir -p home/.config/containers");
    let repository = shop.run("echo $REPO").trim().to_owned();
    let (host, _) = repository.split_once('/').unwrap();
    let parent = repository.rsplit_once('/').unwrap().0;
    let (accept, reject) = (r#"[{"type": "insecureAcceptAnything"}]"#, r#"[{"type": "reject"}]"#);
    let cases = [
        (accept, String::new(), true),
        (reject, String::new(), false),
        (reject, format!(r#""{host}": {accept}"#), true),
        (accept, format!(r#""{parent}": {reject}"#), false),
        (reject, format!(r#""{repository}:1": {accept}, "{host}": {reject}"#), true),
        (accept, format!(r#""{repository}": {reject}, "{host}": {accept}"#), false),
        (accept, format!(r#""": {reject}"#), false),
        (accept, format!(r#""{}": {reject}"#, &host[..4]), true),
    ];
    for (default, scopes, is_let) in cases {
        let policy = format!(r#"{{"default": {default}, "transports": {{"docker": {{{scopes}}}}}}}"#);
        shop.write("home/.config/containers/policy.json", policy.as_bytes());
        let skopeo = shop.try_run(
            "rm -rf copy
            HOME=$PWD/home XDG_CONFIG_HOME=$PWD skopeo copy --quiet --src-tls-verify=false docker://$REF dir:copy",
        );
        let ours = shop.artishim(&["pull", "--quiet", "--pull", "always", &shop.reference()]);
        assert_eq!((skopeo.status == 0, ours.status == 0), (is_let, is_let), "{policy}: {skopeo:?} {ours:?}");
    }
}

/// A registry that wants to see a certificate, and leads to a place that would like one. Notes down what was shown to whom.
const REGISTRY_THAT_LEADS_AWAY: &str = r#"
import hashlib, http.server, json, ssl, sys, threading
blob = b"not much of a model"
digest = lambda content: "sha256:" + hashlib.sha256(content).hexdigest()
layer = {"mediaType": "application/octet-stream", "digest": digest(blob), "size": len(blob),
         "annotations": {"org.opencontainers.image.title": "m.gguf"}}
config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2}
manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                       "artifactType": "application/x", "config": config, "layers": [layer]}).encode()
places = {}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_HEAD(self): self.do_GET()
    def do_GET(self):
        shown = self.connection.getpeercert()
        name = dict(pair[0] for pair in shown["subject"])["commonName"] if shown else "nothing"
        print(self.server.place, name, flush=True)
        content = blob if digest(blob) in self.path else b"{}" if digest(b"{}") in self.path else manifest
        is_away = self.server.place == "registry" and "/blobs/" in self.path
        self.send_response(307 if is_away else 200)
        if is_away:
            content = b""
            self.send_header("Location", f"https://127.0.0.1:{places['elsewhere']}{self.path}")
        self.send_header("Content-Type", json.loads(manifest)["mediaType"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET": self.wfile.write(content)
    def log_message(self, *words): pass
for place, wants in (("elsewhere", ssl.CERT_OPTIONAL), ("registry", ssl.CERT_REQUIRED)):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.place, places[place] = place, server.server_port
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("server.pem", "server.key")
    context.load_verify_locations("authority.pem")
    context.verify_mode = wants
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
open("port", "w").write(str(places["registry"]))
sys.stdin.read()
"#;

/// Starts it, with `certs.d` for it in both homes.
const LEADS_AWAY: &str = r#"
    {
        openssl req -x509 -newkey rsa:2048 -nodes -keyout authority.key -subj /CN=authority -days 2 -out authority.pem
        sign() {
            openssl req -newkey rsa:2048 -nodes -keyout $1.key -subj /CN=$1 -out $1.csr
            openssl x509 -req -in $1.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem
        }
        echo subjectAltName=IP:127.0.0.1 >server.ext && sign server
        echo extendedKeyUsage=clientAuth >client.ext && sign client
    } >log 2>&1
    mkfifo stop
    python3 server.py <stop >>shown &
    exec 9>stop
    until [ -s port ]; do sleep 0.1; done
    name=127.0.0.1:$(cat port)/acme/m:1
    certs=home/.config/containers/certs.d/127.0.0.1:$(cat port)
    mkdir -p $certs && cp authority.pem $certs/ca.crt && cp client.pem $certs/client.cert && cp client.key $certs
    export HOME=$PWD/home
"#;

#[test]
#[ignore = "needs root and contrib/testbed"]
fn certificate_is_shown_to_its_registry_only() {
    let shop = Workshop::new("registries");
    shop.write("server.py", REGISTRY_THAT_LEADS_AWAY.as_bytes());
    let said = shop.run(&format!(
        "{LEADS_AWAY}
        skopeo copy --quiet docker://$name dir:copy && sort -u shown && echo by skopeo && : >shown
        {} --engine none --store $PWD/store --tls-verify=true --retry 0 pull --quiet $name && sort -u shown",
        env!("CARGO_BIN_EXE_artishim")
    ));
    let (theirs, ours) = said.split_once("by skopeo\n").unwrap();
    // Whoever a registry leads to is shown the same certificate by skopeo.
    assert_eq!(theirs, "elsewhere client\nregistry client\n");
    assert_eq!(ours, "elsewhere nothing\nregistry client\n");
}

/// `docker.io` is looked for under this name, and a port as it is written.
#[test]
#[ignore = "needs root and contrib/testbed"]
fn certificates_lie_under_the_names_that_skopeo_looks_for() {
    let shop = Workshop::new("registries");
    for (name, directory) in
        [("docker.io/x/y:1", "docker.io"), ("127.0.0.1:1/x:1", "127.0.0.1:1"), ("127.0.0.1:443/x:1", "127.0.0.1:443")]
    {
        shop.run(&format!("rm -rf home && mkdir -p home/.config/containers/certs.d/{directory}"));
        let said = shop.try_run(&format!("HOME=$PWD/home skopeo --debug inspect --raw docker://{name}"));
        let looked = shop.path("home/.config/containers/certs.d").join(directory).display().to_string();
        assert!(said.stderr.contains(&looked), "{said:?}");
        // A key without its certificate is an error wherever it is found.
        shop.write(&format!("home/.config/containers/certs.d/{directory}/a.key"), b"");
        let ours = shop.artishim(&["--tls-verify=true", "--retry", "0", "pull", "--quiet", name]);
        assert!(ours.stderr.contains(&format!("{looked}/a.cert")), "{ours:?}");
    }
}

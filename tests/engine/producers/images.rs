//! Images with a model in `/models`, and what OLOT makes of the same layers.

use crate::workshop::{FOLDER, Workshop};

/// [`FOLDER`] as it lies when `model` is the root.
fn folder() -> Vec<(&'static str, &'static str)> {
    FOLDER.iter().map(|path| (path.strip_prefix("model/").unwrap(), *path)).collect()
}

/// Lays the model into the OCI layout `car`, one layer for each file, and pushes it.
fn olot(shop: &Workshop, flags: &str) {
    shop.run(&format!(
        "olot {flags} --root-dir model --modelcard model/README.md car \
            model/config.json model/model.safetensors model/onnx/weights.onnx_data model/tokenizer.json
        skopeo copy --quiet --all --dest-tls-verify=false oci:car:latest docker://$REF"
    ));
}

/// KServe's base image, which comes as an index.
fn base_of_kserve(shop: &Workshop) {
    shop.run("python -c 'import modelcar_base_image.embedded_oci_layout as base; base.embedded_oci_layout(\"car\")'");
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn docker_build_makes_an_image_of_schema_2() {
    let shop = Workshop::new("docker");
    shop.write("Dockerfile", b"FROM scratch\nCOPY model /models\n");
    shop.run(
        "PATH=$ENGINES/docker20/bin:$PATH
        docker build --quiet --tag $REF .
        docker push --quiet $REF
        docker rmi $REF",
    );
    shop.assert_pulled("image", Some("."), &folder());
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn podman_build_makes_an_image_in_any_compression() {
    for compression in ["gzip", "zstd", "zstd:chunked"] {
        let shop = Workshop::new("podman-build");
        shop.write("Containerfile", b"FROM scratch\nCOPY model /models\n");
        shop.run(&format!(
            "podman build --quiet --tag $REF .
            podman push --quiet --tls-verify=false --compression-format {compression} $REF
            podman rmi $REF"
        ));
        shop.assert_pulled("image", Some("."), &folder());
    }
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn olot_modelcar_is_its_models_folder() {
    let shop = Workshop::new("olot");
    shop.run("podman push --quiet localhost/artishim-test/base:1 oci:$PWD/car:latest");
    olot(&shop, "");
    shop.assert_pulled("image", Some("."), &folder());
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn olot_modelcar_on_kserves_base_is_the_same() {
    let shop = Workshop::new("olot");
    base_of_kserve(&shop);
    olot(&shop, "");
    shop.assert_pulled("image", Some("."), &folder());
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn olot_modelcar_with_a_modelpack_beside_it_is_that() {
    let shop = Workshop::new("olot");
    base_of_kserve(&shop);
    olot(&shop, "--add-modelpack");
    shop.assert_pulled("ModelPack", Some("."), &folder());
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn olot_artifact_is_unpacked_with_an_artifact_type_and_without() {
    for artifact_type in ["None", "\"application/vnd.acme.model\""] {
        let shop = Workshop::new("olot");
        shop.run(&format!(
            "mkdir artifact
            python -c 'from pathlib import Path; from olot.oci_artifact import create_simple_oci_artifact as create
create(Path(\"model\"), Path(\"artifact\"), artifact_type={artifact_type})'
            skopeo copy --quiet --dest-tls-verify=false oci:artifact docker://$REF"
        ));
        shop.assert_pulled("ORAS", Some("."), &folder());
    }
}

/// The older way of OLOT to make an artifact, still in it: skopeo and the registry take it as it is.
#[test]
#[ignore = "needs root and contrib/testbed"]
fn olot_artifact_with_the_sizes_of_files_in_place_of_their_tars_is_refused() {
    let shop = Workshop::new("olot");
    shop.run(
        "python -c 'from pathlib import Path; from olot.oci_artifact import create_oci_artifact_from_model as create
create(Path(\"model\"), Path(\"artifact\"))'
        skopeo copy --quiet --dest-tls-verify=false oci:artifact docker://$REF",
    );
    shop.assert_refused(&shop.reference(), &["its manifest says", "olot"]);
}

/// As much of Hugging Face's hub as it takes to serve the folder `model` of the current directory as one repository.
const HUB: &str = r#"
import http.server, json, os
revision = "0123456789abcdef0123456789abcdef01234567"
class Hub(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        parts = self.path.partition("?")[0].strip("/").split("/")
        if "resolve" in parts:
            answer = open(os.path.join("model", *parts[parts.index("resolve") + 2:]), "rb").read()
        elif "tree" in parts:
            paths = [os.path.join(folder, name) for folder, _, names in os.walk("model") for name in names]
            entry = lambda path: {"type": "file", "oid": "0", "path": os.path.relpath(path, "model"), "size": os.path.getsize(path)}
            answer = json.dumps([entry(path) for path in paths]).encode()
        else:
            answer = json.dumps({"id": "acme/tiny", "sha": revision}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
open("port.new", "w").write(str(server.server_port))
os.rename("port.new", "port")
server.serve_forever()
"#;

#[test]
#[ignore = "needs root and contrib/testbed"]
fn oci_modelcar_of_a_hub_repository_is_that_without_its_readme() {
    let shop = Workshop::new("oci-modelcar");
    shop.write("hub.py", HUB.as_bytes());
    shop.run(
        "python hub.py 2>hub.log &
        trap \"kill $!\" EXIT
        until [ -e port ]; do sleep 0.1; done
        oci-modelcar push --hf-endpoint http://127.0.0.1:$(cat port) --hf-repo acme/tiny --spool-dir spool \
            --registry $REGISTRY --target-repo ${REPO#*/} --target-tag 1 --allow-patterns '.json .safetensors .onnx_data'",
    );
    let packed: Vec<_> = folder().into_iter().filter(|(path, _)| *path != "README.md").collect();
    shop.assert_pulled("image", Some("."), &packed);
}

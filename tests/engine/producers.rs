//! Artifacts as other people's programs really make and push them: laid out by us, they are what was packed.
//!
//! Not here, because no registry we install from has the program: `kit` of KitOps (PyPI's `kitops` runs a `kit` that it
//! does not bring), modctl, `docker model`, llmman, Ollama, and Cog's `cog weights` (PyPI's `cog` is what runs inside a
//! Cog image). What they make is in the captured manifests of `src/packaging/tests`. modelcar-maker and Kubeflow's
//! model-registry let OLOT make the artifact, so they have no test of their own.

mod images;
pub mod ramalama;

use crate::workshop::{FOLDER, Workshop, adds_to_podman, same};

#[test]
#[ignore = "needs root and contrib/testbed"]
fn podman_artifact_of_one_file_is_that_file() {
    let shop = Workshop::new("podman");
    let _adding = adds_to_podman();
    shop.run(
        "podman artifact add $REF tiny.gguf
        podman artifact push --quiet --tls-verify=false $REF
        podman artifact rm $REF",
    );
    shop.assert_pulled("ORAS", Some("tiny.gguf"), &same(&["tiny.gguf"]));
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn podman_artifact_with_a_title_that_podman_cannot_mount_has_it_as_path() {
    let shop = Workshop::new("podman");
    let _adding = adds_to_podman();
    shop.run(
        "podman artifact add --type application/vnd.cncf.model.manifest.v1+json \
            --annotation org.opencontainers.image.title=sub/mmproj.gguf $REF sub/mmproj.gguf
        podman artifact add --append $REF tiny.gguf
        podman artifact push --quiet --tls-verify=false $REF
        podman artifact rm $REF",
    );
    let answer = shop.assert_pulled("ModelPack", Some("tiny.gguf"), &same(&["sub/mmproj.gguf", "tiny.gguf"]));
    assert_eq!(answer["mmproj"], "sub/mmproj.gguf");
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn oras_files_keep_their_nested_titles() {
    let shop = Workshop::new("oras");
    shop.run("oras push --plain-http $REF tiny.gguf sub/mmproj.gguf");
    let answer = shop.assert_pulled("ORAS", Some("tiny.gguf"), &same(&["sub/mmproj.gguf", "tiny.gguf"]));
    assert_eq!(answer["mmproj"], "sub/mmproj.gguf");
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn oras_folder_is_unpacked_where_its_title_says() {
    let shop = Workshop::new("oras");
    shop.run("oras push --plain-http --artifact-type application/vnd.acme.model $REF model sub/mmproj.gguf");
    let files = [&FOLDER[..], &["sub/mmproj.gguf"]].concat();
    shop.assert_pulled("ORAS", Some("model"), &same(&files));
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn oras_folder_named_dot_is_unpacked_at_the_root() {
    let shop = Workshop::new("oras");
    shop.run("cd model && oras push --plain-http $REF .");
    let files = FOLDER.map(|path| (path.strip_prefix("model/").unwrap(), path));
    shop.assert_pulled("ORAS", Some("."), &files);
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn oras_config_is_no_file_of_the_model() {
    let config = "--config model/config.json:application/vnd.acme.config.v1+json";
    for flags in
        [config, &format!("{config} --artifact-type application/vnd.acme.model"), "--artifact-platform linux/s390x"]
    {
        let shop = Workshop::new("oras");
        shop.run(&format!("oras push --plain-http {flags} $REF tiny.gguf"));
        shop.assert_pulled("ORAS", Some("tiny.gguf"), &same(&["tiny.gguf"]));
    }
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn oras_with_the_types_of_modelpack_makes_one() {
    let shop = Workshop::new("oras");
    let kind = "application/vnd.cncf.model";
    shop.run(&format!(
        "oras push --plain-http --artifact-type {kind}.manifest.v1+json --config model/config.json:{kind}.config.v1+json \
            $REF tiny.gguf:{kind}.weight.v1.raw model/README.md:{kind}.doc.v1.raw"
    ));
    shop.assert_pulled("ModelPack", Some("tiny.gguf"), &same(&["model/README.md", "tiny.gguf"]));
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn oras_title_that_leads_outside_is_refused() {
    let shop = Workshop::new("oras");
    shop.run("oras push --plain-http --disable-path-validation $REF $PWD/tiny.gguf");
    shop.assert_refused(&shop.reference(), &[shop.path("tiny.gguf").to_str().unwrap(), "is absolute"]);
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn oras_index_gives_the_child_of_this_platform() {
    let shop = Workshop::new("oras");
    let arch = oci_spec::image::Arch::default();
    shop.run(&format!(
        "oras push --plain-http --artifact-platform linux/{arch} $REPO:mine tiny.gguf
        oras push --plain-http --artifact-platform linux/mips64le $REPO:other sub/mmproj.gguf
        oras manifest index create --plain-http $REF other mine"
    ));
    shop.assert_pulled("ORAS", Some("tiny.gguf"), &same(&["tiny.gguf"]));
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn signature_beside_an_artifact_is_said_to_be_one() {
    let shop = Workshop::new("signed");
    shop.run(
        "mkdir registries.d
        printf 'docker:\\n  %s:\\n    use-sigstore-attachments: true\\n' $REGISTRY >registries.d/here.yaml
        echo secret >passphrase
        skopeo generate-sigstore-key --output-prefix key --passphrase-file passphrase
        oras push --plain-http $COPY tiny.gguf
        skopeo --registries.d registries.d copy --quiet --src-tls-verify=false --dest-tls-verify=false \
            --sign-by-sigstore-private-key key.private --sign-passphrase-file passphrase docker://$COPY docker://$REF",
    );
    let signature = shop.run("echo $REPO:$(crane digest --insecure $REF | tr : -).sig");
    shop.assert_refused(signature.trim(), &["a signature"]);
    shop.assert_pulled("ORAS", Some("tiny.gguf"), &same(&["tiny.gguf"]));
}

const ORAS_PY: &str = "python -c 'import sys, oras.client
oras.client.OrasClient(insecure=True).push(target=sys.argv[1], files=sys.argv[2:])' $REF";

#[test]
#[ignore = "needs root and contrib/testbed"]
fn oras_py_files_lie_side_by_side() {
    let shop = Workshop::new("oras-py");
    shop.run(&format!("{ORAS_PY} tiny.gguf sub/mmproj.gguf"));
    shop.assert_pulled("ORAS", Some("tiny.gguf"), &[("mmproj.gguf", "sub/mmproj.gguf"), ("tiny.gguf", "tiny.gguf")]);
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn oras_py_folder_is_unpacked_though_nothing_says_so() {
    let shop = Workshop::new("oras-py");
    shop.run(&format!("{ORAS_PY} model"));
    shop.assert_pulled("ORAS", Some("model"), &same(&FOLDER));
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn omlmd_model_comes_with_its_metadata() {
    let shop = Workshop::new("omlmd");
    shop.write("about.json", br#"{"name": "tiny", "author": "nobody", "accuracy": 0.5}"#);
    shop.run("omlmd push --plain-http $REF tiny.gguf -m about.json && omlmd pull --plain-http $REF -o theirs");
    let names = ["model_metadata.omlmd.json", "model_metadata.omlmd.yaml", "tiny.gguf"];
    let theirs = names.map(|name| format!("theirs/{name}"));
    let files: Vec<(&str, &str)> = names.into_iter().zip(theirs.iter().map(String::as_str)).collect();
    shop.assert_pulled("ORAS", Some("tiny.gguf"), &files);
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn modelpack_client_files_are_laid_out() {
    let shop = Workshop::new("modelpack");
    shop.run(MODELPACK_CONFIG);
    shop.run(
        "python -m modelpack_client --insecure push $REF --config about.json --layer tiny.gguf \
            --layer sub/mmproj.gguf --layer model/README.md:application/vnd.cncf.model.doc.v1.raw",
    );
    let files = [("README.md", "model/README.md"), ("mmproj.gguf", "sub/mmproj.gguf"), ("tiny.gguf", "tiny.gguf")];
    shop.assert_pulled("ModelPack", Some("tiny.gguf"), &files);
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn modelpack_client_folder_is_unpacked_from_every_codec() {
    for codec in ["raw", "tar", "tar+gzip", "tar+zstd"] {
        let shop = Workshop::new("modelpack");
        shop.run(MODELPACK_CONFIG);
        shop.run(&format!(
            "python -m modelpack_client --insecure push $REF --config about.json \
                --layer model:application/vnd.cncf.model.weight.v1.{codec}"
        ));
        shop.assert_pulled("ModelPack", Some("model"), &same(&FOLDER));
    }
}

const MODELPACK_CONFIG: &str = r#"echo '{"descriptor": {"name": "tiny"}, "config": {"format": "gguf"}}' >about.json"#;

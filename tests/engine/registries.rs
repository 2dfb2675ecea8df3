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

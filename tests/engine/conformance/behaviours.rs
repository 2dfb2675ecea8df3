//! The behaviours that need no container; numbers are those of the list in podman's tests' order.

use std::fs;

use artishim::digest::Digest;

use super::Front;
use crate::artifacts;
use crate::testbed::STATE;

pub fn b01_02_04_lists_have_a_line_for_each_and_a_heading(front: &Front) {
    let names = [front.added(&[("a", "1")]), front.added(&[("b", "2")])];
    let listed = front.artifact(&["ls"]).success();
    assert_eq!(
        (listed.lines().count(), listed.lines().next().unwrap().split_whitespace().next()),
        (3, Some("REPOSITORY"))
    );
    assert!(!front.artifact(&["ls", "--noheading"]).success().contains("REPOSITORY"));
    let listed = front.artifact(&["ls", "--format", "{{.Repository}}"]).success();
    let repositories = names.each_ref().map(|name| name.rsplit_once(':').unwrap().0);
    assert_eq!(listed.lines().collect::<Vec<_>>(), repositories);
}

pub fn b03_digests_are_short_unless_asked_for(front: &Front) {
    let (name, file) = (front.name(), front.file("a", "1"));
    let digest = front.artifact(&["add", &name, &file]).success();
    let listed = |words: &[&str]| front.artifact(&[&["ls", "--format", "{{.Digest}}"], words].concat()).success();
    assert_eq!(listed(&[]).trim(), &digest[..12]);
    assert_eq!(listed(&["--no-trunc"]), digest);
}

pub fn b05_06_lists_are_filled_by_templates(front: &Front) {
    front.added(&[("a", "12345"), ("b", "678")]);
    let filled = |template: &str| front.artifact(&["ls", "--format", template]).success().trim_end().to_owned();
    assert_eq!(filled("{{.VirtualSize}}"), "8");
    assert!(filled("{{.Created}}").ends_with(" ago"));
    let created = filled("{{.CreatedAt}}");
    assert!(created.ends_with(" +0000 UTC") && created.as_bytes()[10] == b' ', "{created}");
    let json = front.artifact(&["ls", "--format", "json"]).success();
    // It prints the word for each artifact, to 6.1.
    if !front.is_podman {
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((json[0]["Tag"].as_str(), json[0]["Size"].as_u64()), (Some("1"), Some(8)));
        assert_eq!(front.artifact(&["ls", "--quiet", "--no-trunc"]).success().trim().len(), 64);
        assert_eq!(front.artifact(&["ls", "--quiet", "--format", "json"]).status, 125);
    }
}

pub fn b07_second_add_is_refused(front: &Front) {
    let name = front.added(&[("a", "1")]);
    assert_eq!(front.shown("{{.Name}}", &name), name);
    front.refused(&["add", &name, &front.file("b", "2")], &format!("{name}: artifact already exists"));
}

pub fn b08_types_and_annotations_are_kept(front: &Front) {
    let (name, file) = (front.name(), front.file("a", "1"));
    let types = ["--type", "application/x-mine", "--file-type", "text/mine"];
    let annotations = ["--annotation", "one=1", "--annotation", "two=2=2"];
    front.artifact(&[&["add"], &types[..], &annotations, &[&name, &file]].concat()).success();
    assert_eq!(front.shown("{{.Manifest.ArtifactType}}", &name), "application/x-mine");
    let layer = "{{range .Manifest.Layers}}{{.MediaType}} {{index .Annotations \"two\"}}{{end}}";
    assert_eq!(front.shown(layer, &name), "text/mine 2=2");
}

pub fn b09_title_may_be_given_and_is_once(front: &Front) {
    let (name, [a, b]) = (front.name(), ["a", "b"].map(|file| front.file(file, file)));
    let title = |title: &str| format!("org.opencontainers.image.title={title}");
    let (mine, other) = (title("mine"), title("other"));
    front.artifact(&["add", "--annotation", &mine, &name, &a]).success();
    let twice = "duplicate layers org.opencontainers.image.title labels within an artifact not allowed";
    front.refused(&["add", "--append", "--annotation", &mine, &name, &b], twice);
    front.artifact(&["add", "--append", "--annotation", &other, &name, &b]).success();
    front.refused(&["add", "--annotation", &mine, &front.name(), &a, &b], twice);
    let titles = "{{range .Manifest.Layers}}{{index .Annotations \"org.opencontainers.image.title\"}},{{end}}";
    assert_eq!(front.shown(titles, &name), "mine,other,");
}

pub fn b10_two_files_are_two_layers(front: &Front) {
    let name = front.added(&[("a", "1"), ("b", "2")]);
    assert_eq!(front.shown("{{len .Manifest.Layers}}", &name), "2");
}

pub fn b11_dead_registry_is_told(front: &Front) {
    let words = ["pull", "--retry", "1", "--retry-delay", "100ms", "--tls-verify=false", "127.0.0.1:1/a/b:1"];
    let refused = front.artifact(&words);
    assert!(refused.status == 125 && refused.stderr.to_lowercase().contains("connection refused"), "{refused:?}");
}

pub fn b12_pushed_artifact_comes_back(front: &Front) {
    let name = front.added(&[("a", "1"), ("b", "2")]);
    let digest = front.shown("{{.Digest}}", &name);
    front.artifact(&["push", "-q", "--tls-verify=false", &name]).success();
    front.artifact(&["rm", &name]).success();
    front.artifact(&["pull", "-q", "--tls-verify=false", &name]).success();
    assert_eq!((front.shown("{{.Name}}", &name), front.shown("{{.Digest}}", &name)), (name.clone(), digest));
}

pub fn b13_14_credentials_are_what_counts(front: &Front) {
    let told = fs::read_to_string(format!("{STATE}/registry-auth")).unwrap();
    let [host, user, password] = told.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{told}") };
    let name = format!("{host}/{}:1", artifacts::repository("conformance"));
    front.artifact(&["add", &name, &front.file("a", "1")]).success();
    let push = |words: &[&str]| front.artifact(&[&["push", "-q", "--tls-verify=false"], words, &[&name]].concat());
    let refused = push(&["--creds", &format!("{user}:wrong")]);
    let is_told = ["authentication required", "refuses access"].iter().any(|words| refused.stderr.contains(words));
    assert!(refused.status == 125 && is_told, "{refused:?}");
    push(&["--creds", &format!("{user}:{password}")]).success();
    let refused = push(&["--authfile", "/tmp/no/such/auth.json"]);
    assert!(refused.status == 125 && refused.stderr.contains("/tmp/no/such/auth.json"), "{refused:?}");
    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    let file = front.file("auth.json", &format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#));
    push(&["--authfile", &file]).success();
    front.artifact(&["rm", &name]).success();
    front.artifact(&["pull", "-q", "--tls-verify=false", "--authfile", &file, &name]).success();
}

pub fn b15_removal_prints_the_digest(front: &Front) {
    let (name, file) = (front.name(), front.file("a", "1"));
    front.refused(&["rm", "foobar"], "foobar: artifact does not exist");
    let digest = front.artifact(&["add", &name, &file]).success();
    assert_eq!(front.artifact(&["rm", &name]).success(), digest);
    front.refused(&["inspect", &name], "artifact does not exist");
}

pub fn b16_removal_of_all_or_of_what_is_not_there(front: &Front) {
    let name = front.added(&[("a", "1")]);
    front.added(&[("b", "2")]);
    assert_eq!(front.artifact(&["rm", "-a", &name]).status, 125);
    assert_eq!(front.artifact(&["rm"]).status, 125);
    assert_eq!(front.artifact(&["rm", "-i", "foobar"]).success(), "");
    assert_eq!(front.artifact(&["rm", "-i", &name]).success().lines().count(), 1);
    assert_eq!(front.artifact(&["rm", "-a"]).success().lines().count(), 1);
    assert_eq!(front.artifact(&["ls", "-n"]).success(), "");
    assert_eq!(front.artifact(&["rm", "-a"]).success(), "");
}

pub fn b17_digests_and_their_beginnings_are_names(front: &Front) {
    let (name, file) = (front.name(), front.file("a", "1"));
    let digest = front.artifact(&["add", &name, &file]).success();
    for digest in [digest.trim(), &digest[..12]] {
        assert_eq!(front.shown("{{.Name}}", digest), name);
    }
    // One digit is enough for it, whosever digest it begins.
    if !front.is_podman {
        front.refused(&["rm", &digest[..1]], "artifact does not exist");
        assert_eq!(front.shown("{{.Name}}", &format!("sha256:{}", digest.trim())), name);
    }
}

pub fn b18_19_single_file_is_extracted(front: &Front) {
    let name = front.added(&[("testfile", "mRuO9ykak1Q2j\n")]);
    let digest = Digest::sha256(b"mRuO9ykak1Q2j\n");
    let target = front.file("target", "old and longer than what comes");
    let extract = |words: &[&str]| front.artifact(&[&["extract"], words].concat());
    extract(&[&name, &target]).success();
    assert_eq!(fs::read_to_string(&target).unwrap(), "mRuO9ykak1Q2j\n");
    fs::create_dir(front.path("out")).unwrap();
    let out = front.path("out").display().to_string();
    extract(&[&name, &out]).success();
    assert_eq!(fs::read_to_string(front.path("out/testfile")).unwrap(), "mRuO9ykak1Q2j\n");
    extract(&["--digest", &digest.to_string(), &name, &out]).success();
    assert!(front.path("out").join(digest.file_name()).exists());
    extract(&["--title", "testfile", &name, &out]).success();
    front.refused(&["extract", "--title", "abcd", &name, &out], "no blob with the title \"abcd\"");
    let wrong = Digest::sha256(b"other").to_string();
    front.refused(&["extract", "--digest", &wrong, &name, &out], &format!("no blob with the digest \"{wrong}\""));
}

pub fn b20_several_files_are_extracted(front: &Front) {
    let name = front.added(&[("test1", "xuHWedtC0ADST\n"), ("test2", "tAyZczFlgFsi4\n")]);
    fs::create_dir(front.path("out")).unwrap();
    let out = front.path("out").display().to_string();
    front.artifact(&["extract", &name, &out]).success();
    let read = |file: &str| fs::read_to_string(front.path("out").join(file)).unwrap();
    assert_eq!((read("test1").as_str(), read("test2").as_str()), ("xuHWedtC0ADST\n", "tAyZczFlgFsi4\n"));
    let target = front.path("one").display().to_string();
    front.refused(&["extract", &name, &target], "the artifact consists of several blobs and the target");
    front.artifact(&["extract", "--title", "test2", &name, &target]).success();
    assert_eq!(fs::read_to_string(&target).unwrap(), "tAyZczFlgFsi4\n");
}

/// Podman takes it and refuses when the name is to be used; we refuse to add what nothing could be done with.
pub fn b21_evil_title_does_no_harm(front: &Front) {
    let (name, file) = (front.name(), front.file("evil", "RM5eA27F9psa2\n"));
    let title = "org.opencontainers.image.title=../../../../tmp/artishim-conformance-evil";
    let added = front.artifact(&["add", "--annotation", title, &name, &file]);
    fs::create_dir(front.path("out")).unwrap();
    let out = front.path("out").display().to_string();
    let extracted = front.artifact(&["extract", &name, &out]);
    assert!(added.status == 125 || extracted.status == 125, "{added:?} {extracted:?}");
    assert!(!std::path::Path::new("/tmp/artishim-conformance-evil").exists());
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}

pub fn b22_23_files_are_appended(front: &Front) {
    let name = front.added(&[("a", "1")]);
    let files = ["b", "c", "d"].map(|file| front.file(file, file));
    front.artifact(&["add", "--append", "--annotation", "k=v", &name, &files[0]]).success();
    front.artifact(&["add", "--append", &name, &files[1], &files[2]]).success();
    let annotations = "{{range .Manifest.Layers}}{{index .Annotations \"k\"}},{{end}}";
    assert_eq!(front.shown(annotations, &name), ",v,,,");
    assert_eq!(front.artifact(&["ls", "-n"]).success().lines().count(), 1);
}

pub fn b24_25_26_no_file_is_added_twice(front: &Front) {
    let name = front.added(&[("a", "1")]);
    let (other, changed) = (front.name(), front.file("a", "changed"));
    let exists = "a: file already exists in artifact";
    let size = front.shown("{{.TotalSizeBytes}}", &name);
    front.refused(&["add", "--append", &name, &changed], exists);
    assert_eq!(front.shown("{{.TotalSizeBytes}}", &name), size);
    front.refused(&["add", &other, &changed, &changed], exists);
    front.refused(&["inspect", &other], "artifact does not exist");
    front.refused(&["add", "--append", &other, &changed], &format!("{other}: artifact does not exist"));
}

pub fn b27_type_stays_over_an_append(front: &Front) {
    let (name, [a, b]) = (front.name(), ["a", "b"].map(|file| front.file(file, file)));
    front.artifact(&["add", "--type", "application/x-mine", &name, &a]).success();
    let refused = "append option is not compatible with type option";
    front.refused(&["add", "--append", "--type", "other", &name, &b], refused);
    front.artifact(&["add", "--append", &name, &b]).success();
    assert_eq!(front.shown("{{.Manifest.ArtifactType}}", &name), "application/x-mine");
}

pub fn b28_29_time_of_creation_stays(front: &Front) {
    let (name, [a, b]) = (front.name(), ["a", "b"].map(|file| front.file(file, file)));
    let digest = front.artifact(&["add", &name, &a]).success();
    assert_eq!(front.shown("{{.Digest}}", &name), format!("sha256:{}", digest.trim()));
    let created = || front.shown("{{index .Manifest.Annotations \"org.opencontainers.image.created\"}}", &name);
    let before = created();
    let age = jiff::Timestamp::now().duration_since(before.parse().unwrap());
    assert!(age.as_secs() < 60, "{before}");
    front.artifact(&["add", "--append", &name, &b]).success();
    assert_eq!(created(), before);
}

pub fn b34_artifact_is_replaced(front: &Front) {
    let (name, [a, b]) = (front.name(), ["a", "b"].map(|file| front.file(file, file)));
    front.artifact(&["add", "--replace", &name, &a]).success();
    let before = front.shown("{{.Digest}}", &name);
    front.refused(&["add", &name, &b], "artifact already exists");
    front.artifact(&["add", "--replace", &name, &b]).success();
    assert_ne!(front.shown("{{.Digest}}", &name), before);
    assert_eq!(front.artifact(&["ls", "-n"]).success().lines().count(), 1);
    front.refused(
        &["add", "--replace", "--append", &name, &b],
        "--append and --replace options cannot be used together",
    );
}

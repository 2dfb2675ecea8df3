//! Parts of artifacts: which files patterns name, and what a server needs.

use super::*;

fn selection(include: &[&str], exclude: &[&str]) -> Selection {
    let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>();
    Selection::new(owned(include), owned(exclude)).unwrap()
}

/// An artifact of plain files that hold their own names, but for those that begin with `gguf-`.
fn artifact(paths: &[&str]) -> Artifact {
    let content = |path: &&str| if path.starts_with("gguf-") { GGUF.to_vec() } else { path.as_bytes().to_vec() };
    let contents: Vec<Vec<u8>> = paths.iter().map(content).collect();
    let layers: Vec<(&str, &str, &[u8])> = paths
        .iter()
        .zip(&contents)
        .map(|(path, content)| ("application/octet-stream", *path, content.as_slice()))
        .collect();
    Artifact::titled(&layers)
}

fn paths(plan: &Plan) -> Vec<String> {
    plan.files().unwrap().into_iter().map(|file| file.path).collect()
}

fn image_of_two() -> Artifact {
    Artifact::image(&[tar(&[In::File("models/a.gguf", GGUF), In::File("models/sub/b.txt", b"b")])])
}

#[test]
fn patterns_are_read_as_in_a_gitignore() {
    let cases = [
        ("*Q4_K_M*", "llama-Q4_K_M.gguf", true),
        ("*Q4_K_M*", "gguf/llama-Q4_K_M.gguf", true),
        ("*Q4_K_M*", "Q4_K_M/model.gguf", true),
        ("*Q4_K_M*", "llama-Q4_K_S.gguf", false),
        ("*.gguf", "a.gguf", true),
        ("*.gguf", "x/y/a.gguf", true),
        ("*.GGUF", "a.gguf", false),
        ("original", "original/x/y.pth", true),
        ("original", "sub/original/y.pth", true),
        ("original/*", "original/x.pth", true),
        ("original/*", "original/x/y.pth", true),
        ("original/*", "sub/original/x.pth", false),
        ("original/*.pth", "original/x/y.pth", false),
        ("original/**/*.pth", "original/x/y.pth", true),
        ("original/", "original/x.pth", true),
        ("original/", "sub/original/x.pth", true),
        ("original/", "original", false),
        ("/a.gguf", "a.gguf", true),
        ("/a.gguf", "x/a.gguf", false),
        ("./a.gguf", "a.gguf", true),
        ("./a.gguf", "x/a.gguf", false),
        ("**/a.gguf", "a.gguf", true),
        ("x/?.gguf", "x/a.gguf", true),
        ("x?a.gguf", "x/a.gguf", false),
        ("model-0000[12]-of-*", "model-00002-of-00003.safetensors", true),
        ("*.{json,txt}", "tokenizer.json", true),
        ("*.{json,txt}", "tokenizer.model", false),
        ("a\\*", "a*", true),
        ("a\\*", "ab", false),
        ("*", "x/y", true),
        ("**", ".hidden", true),
    ];
    for (pattern, path, is_kept) in cases {
        assert_eq!(selection(&[pattern], &[]).keeps(path), is_kept, "--include {pattern} {path}");
        assert_eq!(selection(&[], &[pattern]).keeps(path), !is_kept, "--exclude {pattern} {path}");
    }
}

#[test]
fn what_is_excluded_is_not_included() {
    let picky = selection(&["*.gguf", "*.json"], &["*Q8*", "q2/"]);
    let cases =
        [("a.gguf", true), ("x/c.json", true), ("a-Q8_0.gguf", false), ("q2/a.gguf", false), ("LICENSE", false)];
    for (path, is_kept) in cases {
        assert_eq!(picky.keeps(path), is_kept, "{path}");
    }
}

#[test]
fn a_pattern_that_cannot_be_read_is_named() {
    for pattern in ["", "/", "./", "a[", "{a", "a\\"] {
        let error = Selection::new([pattern.to_owned()], []).unwrap_err().to_string();
        assert!(error.starts_with(&format!("pattern {pattern:?} is refused: ")), "{error}");
    }
}

#[test]
fn a_remembered_selection_is_the_same_whatever_the_order_of_its_patterns() {
    let one = selection(&["*.json", "*Q4*", "*Q4*"], &["b", "a"]);
    let other = selection(&["*Q4*", "*.json"], &["a", "b"]);
    assert_eq!(one.to_text(), r#"{"exclude":["a","b"],"include":["*.json","*Q4*"]}"#);
    assert_eq!(one.to_text(), other.to_text());
    assert_eq!(Selection::from_text(&one.to_text()).unwrap(), one);
    assert_eq!(selection(&["a"], &[]).to_text(), r#"{"include":["a"]}"#);
    for text in ["", "[1]", r#"{"include":"a"}"#, r#"{"include":["["]}"#] {
        assert!(Selection::from_text(text).is_err(), "{text}");
    }
}

#[test]
fn files_that_are_not_wanted_fall_away_with_their_blobs() {
    let plan = artifact(&["a-Q4.gguf", "a-Q8.gguf", "LICENSE"]).plan().unwrap();
    let part = plan.clone().select(&selection(&["*Q4*", "LICENSE"], &[])).unwrap();
    assert_eq!(paths(&part), ["a-Q4.gguf", "LICENSE"]);
    assert_eq!(part.blobs().len(), 2);
    assert!(part.selection.is_some());
    assert!(plan.is_named_as_by_podman() && !part.is_named_as_by_podman(), "podman cannot hold a part");
    let all = plan.clone().select(&selection(&["*"], &["nothing"])).unwrap();
    assert_eq!(all, plan, "a part that is the whole is none");
    let error = plan.select(&selection(&["*Q5*"], &[])).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"none of the artifact's files is selected, there are: "a-Q4.gguf", "a-Q8.gguf", "LICENSE""#
    );
}

#[test]
fn members_of_archives_that_are_not_wanted_are_not_laid_out() {
    let image = image_of_two();
    let part = image.plan().unwrap().select(&selection(&["*.txt"], &[])).unwrap();
    let mut sink = Memory::default();
    let listing = image.lay_out_plan(&part, None, &mut sink).unwrap();
    assert_eq!(sink.paths(), ["sub/b.txt"]);
    assert_eq!(listing.selection.as_deref(), Some(r#"{"include":["*.txt"]}"#));
    assert_ne!(listing.extent().key(), listing.digest);
    let nothing = image.plan().unwrap().select(&selection(&["*.onnx"], &[])).unwrap();
    let error = image.lay_out_plan(&nothing, None, &mut Memory::default()).unwrap_err();
    assert_eq!(error.to_string(), r#"none of the artifact's files is selected, there are: "a.gguf", "sub/b.txt""#);
}

#[test]
fn a_link_to_a_file_that_is_not_wanted_is_left_out() {
    let layer =
        tar(&[In::File("models/a.gguf", GGUF), In::File("models/b.txt", b"b"), In::Symlink("models/c.txt", "a.gguf")]);
    let image = Artifact::image(&[layer]);
    let part = image.plan().unwrap().select(&selection(&["*.txt"], &[])).unwrap();
    let mut sink = Memory::default();
    image.lay_out_plan(&part, None, &mut sink).unwrap();
    assert_eq!((sink.paths(), sink.links.len()), (vec!["b.txt"], 0));
}

/// One tar for each file, as modctl packs them.
fn packed(files: &[&str]) -> Artifact {
    let tars: Vec<Vec<u8>> = files.iter().map(|path| tar(&[In::File(path, b"content")])).collect();
    let names: Vec<String> = (0..files.len()).map(|index| index.to_string()).collect();
    let layer = |(name, path): (&String, &&str)| {
        serde_json::json!({
            "mediaType": "application/vnd.cncf.model.weight.v1.tar", "digest": format!("@{name}"),
            "annotations": {media::FILEPATH: path},
        })
    };
    let layers: Vec<_> = names.iter().zip(files).map(layer).collect();
    let json = serde_json::json!({"schemaVersion": 2, "artifactType": media::MODELPACK, "layers": layers});
    let contents: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(tars.iter().map(Vec::as_slice)).collect();
    Artifact::new(&json.to_string(), &contents)
}

#[test]
fn a_tar_that_is_named_as_a_file_counts_as_that_file() {
    let plan = packed(&["q4/a.gguf", "q8/a.gguf", "folder"]).plan().unwrap();
    let part = plan.select(&selection(&["q4/*"], &[])).unwrap();
    let names: Vec<&str> = part.blobs().into_iter().map(|blob| part.name_of(&blob.digest)).collect();
    assert_eq!(names, ["q4/a.gguf", "folder"], "what is in a folder is not known");
}

fn needed(paths: &[&str], entry: Option<&str>) -> Result<Vec<String>, String> {
    let plan = artifact(paths).plan().unwrap();
    let request = Request { files: Selection::default(), entry_only: true, entry: entry.map(str::to_owned) };
    match request.needed(&plan, &Heads::new()).map_err(|error| error.to_string())? {
        Needed::Files(selection) => Ok(self::paths(&plan.select(&selection).unwrap())),
        Needed::Look(blobs) => Err(format!("look into {}", blobs.len())),
    }
}

#[test]
fn a_server_needs_the_entry_and_what_goes_with_it() {
    let split = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
    let transformers =
        ["config.json", "model.safetensors", "tokenizer.model", "merges.txt", "modeling.py", "1_Pooling/config.json"];
    let beside = ["README.md", ".gitattributes", "pytorch_model.bin", "onnx/model.onnx", "original/x.safetensors"];
    let diffusers = ["model_index.json", "unet/a.safetensors", "safety/a.bin"];
    let cases: [(&[&str], Option<&str>, &[&str]); 9] = [
        (&["a.gguf", "mmproj-F16.gguf", "chat_template.jinja"], None, &["LICENSE", "params.json", "lora.gguf"]),
        (&split, None, &["LICENSE"]),
        (&["a.gguf", "mmproj.gguf"], Some("a.gguf"), &["b.gguf"]),
        (&["q4/a.gguf"], Some("q4/a.gguf"), &["q8/a.gguf"]),
        (&["q4/x.gguf"], Some("x.gguf"), &["q8/a.gguf"]),
        (&split, Some(split[1]), &["whole.gguf"]),
        (&transformers, None, &beside),
        (&["q4/config.json", "q4/m.safetensors"], Some("./q4/"), &["q8/config.json", "q8/m.safetensors"]),
        (&diffusers, None, &["unet/a.bin", "unet/b.onnx", "photo.png"]),
    ];
    for (wanted, entry, others) in cases {
        let all: Vec<&str> = others.iter().chain(wanted).copied().collect();
        let mut expected: Vec<&str> = wanted.to_vec();
        let mut found = needed(&all, entry).unwrap();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{all:?} {entry:?}");
    }
}

#[test]
fn an_entry_that_cannot_be_told_is_an_error_that_lists_what_could_be_meant() {
    let none = "the artifact has no file \"c.gguf\" to start a server with, name one of: \"a.gguf\", \"b.gguf\"";
    let cases: [(&[&str], Option<&str>, &str); 4] = [
        (
            &["a.gguf", "b.gguf", "mmproj.gguf"],
            None,
            "the artifact does not say which file is the model, name one of: \"a.gguf\", \"b.gguf\"",
        ),
        (&["a.gguf", "b.gguf"], Some("c.gguf"), none),
        (
            &["q4/a.gguf", "q8/a.gguf", "b.gguf"],
            Some("a.gguf"),
            "the artifact has no file \"a.gguf\" to start a server with, name one of: \"q4/a.gguf\", \"q8/a.gguf\"",
        ),
        (
            &["m-00001-of-00003.gguf", "m-00003-of-00003.gguf"],
            None,
            "\"m-00002-of-00003.gguf\" is missing, the model is split into parts",
        ),
    ];
    for (paths, entry, expected) in cases {
        assert_eq!(needed(paths, entry).unwrap_err(), expected, "{paths:?} {entry:?}");
    }
    assert_eq!(
        needed(&["m-00001-of-00002.gguf", "b.gguf"], Some("m-00001-of-00002.gguf")).unwrap_err(),
        "\"m-00002-of-00002.gguf\" is missing, the model is split into parts"
    );
}

#[test]
fn the_entry_is_chosen_among_the_files_that_are_selected() {
    let plan = artifact(&["a-Q4.gguf", "a-Q8.gguf", "mmproj.gguf", "README.md"]).plan().unwrap();
    let request = Request { files: selection(&["*Q4*", "mmproj*", "*.md"], &[]), entry_only: true, entry: None };
    let Needed::Files(found) = request.needed(&plan, &Heads::new()).unwrap() else { panic!("it asks for a look") };
    assert_eq!(paths(&plan.select(&found).unwrap()), ["a-Q4.gguf", "mmproj.gguf"]);
}

#[test]
fn only_files_whose_names_tell_nothing_are_looked_into() {
    let plan = artifact(&["gguf-bare", "notes", "mmproj.gguf", "params.json"]).plan().unwrap();
    let request = Request { entry_only: true, ..Request::default() };
    let Needed::Look(blobs) = request.needed(&plan, &Heads::new()).unwrap() else { panic!("names tell it all") };
    let names: Vec<&str> = blobs.iter().map(|blob| plan.name_of(&blob.digest)).collect();
    assert_eq!(names, ["gguf-bare", "notes"], "the largest first");
    let heads = blobs.iter().map(|blob| {
        let head = if plan.name_of(&blob.digest) == "gguf-bare" { &b"GGUF\x03\0\0\0"[..] } else { b"notes" };
        (blob.digest.clone(), bytes::Bytes::from_static(head))
    });
    let Needed::Files(found) = request.needed(&plan, &heads.collect()).unwrap() else { panic!("it looks again") };
    assert_eq!(paths(&plan.clone().select(&found).unwrap()), ["gguf-bare", "mmproj.gguf"]);
    // A name that tells is enough.
    assert_eq!(needed(&["notes", "a.gguf"], None).unwrap(), ["a.gguf"]);
}

#[test]
fn what_is_packed_is_not_guessed() {
    let request = Request { entry_only: true, ..Request::default() };
    let error = request.needed(&image_of_two().plan().unwrap(), &Heads::new()).unwrap_err();
    assert!(matches!(error, Error::Packed));
    let plan = packed(&["q4/a.gguf", "LICENSE.txt"]).plan().unwrap();
    let Needed::Files(found) = request.needed(&plan, &Heads::new()).unwrap() else { panic!("it asks for a look") };
    assert_eq!(plan.select(&found).unwrap().blobs().len(), 1);
}

#[test]
fn a_name_full_of_signs_selects_its_file_only() {
    let odd = "we[i]rd*{a,b}?.gguf";
    assert_eq!(needed(&[odd, "weird.json", "LICENSE"], None).unwrap(), [odd]);
}

//! registries.conf and its files, read as skopeo and podman read them.

use artishim::config::Environment;
use artishim::reference::Reference;
use artishim::registries_conf::RegistriesConf;

use crate::workshop::Workshop;

/// The words of skopeo's log between two texts.
fn between<'a>(log: &'a str, before: &'a str, after: &'a str) -> impl Iterator<Item = String> + 'a {
    log.split(before).skip(1).filter_map(move |rest| Some(rest.split_once(after)?.0.replace('\\', "")))
}

/// The places skopeo asks for a name, in their order; nothing where it asks nobody.
fn skopeos(shop: &Workshop, conf: &str, name: &str) -> Vec<String> {
    shop.write("registries.conf", conf.as_bytes());
    let said = shop.try_run(&format!(
        "skopeo --debug --registries-conf $PWD/registries.conf inspect --raw --tls-verify=false docker://{name}"
    ));
    let blocked: Vec<String> = between(&said.stderr, "Accessing \\\"", "\\\" failed: registry ").collect();
    let one = between(&said.stderr, "Trying to access \\\"", "\\\"\"").collect::<Vec<_>>();
    // With one place there is no line on its failure.
    let is_blocked = one.len() == 1 && said.stderr.contains(" is blocked in ");
    one.into_iter().filter(|place| !is_blocked && !blocked.contains(place)).collect()
}

fn ours(conf: &str, name: &str) -> Vec<String> {
    let mut read = RegistriesConf::default();
    if read.add("registries.conf", conf).is_err() {
        return Vec::new();
    }
    let reference: Reference = name.parse().unwrap();
    let endpoints = read.endpoints(&reference).unwrap_or_default();
    endpoints.into_iter().map(|endpoint| endpoint.reference.to_string()).collect()
}

/// Files with the name that is asked for; `D` is a digest, and nobody listens at the addresses.
const ALIKE: &[(&str, &str)] = &[
    ("", "127.0.0.1:1/m:1"),
    ("unknown = 1\n[[registry]]\nlocation = '127.0.0.1:1'\nother = 2\n", "127.0.0.1:1/m:1"),
    // Prefixes and locations.
    ("[[registry]]\nprefix = 'x.io/'\nlocation = '127.0.0.1:1//'\n", "x.io/m:1"),
    ("[[registry]]\nprefix = 'x.io/a'\nlocation = '127.0.0.1:1'\n", "x.io/ab/m:1"),
    (
        "[[registry]]\nprefix = 'x.io'\nlocation = '127.0.0.1:1'\n[[registry]]\nprefix = 'x.io/a'\n\
        location = '127.0.0.1:2'\n[[registry]]\nprefix = 'x.io/a/b'\nlocation = '127.0.0.1:3'\n",
        "x.io/a/b/c:1",
    ),
    ("[[registry]]\nprefix = '127.0.0.1'\nlocation = '127.0.0.2'\n", "127.0.0.1:1/m:1"),
    (
        "[[registry]]\nprefix = 'x.io'\nlocation = '127.0.0.1:1'\n[[registry]]\nprefix = 'x.io'\nlocation = '127.0.0.1:2'\n",
        "x.io/m:1",
    ),
    ("[[registry]]\nprefix = '127.0.0.1:1/m:1'\nlocation = '127.0.0.1:2/m:2'\n", "127.0.0.1:1/m:1"),
    ("[[registry]]\nprefix = 'docker.io/library/m'\nlocation = '127.0.0.1:1/z'\n", "m:1"),
    (
        "[[registry]]\nprefix = 'docker.io/m'\nlocation = '127.0.0.1:1/z'\n[[registry]]\nprefix = 'docker.io'\nlocation = '127.0.0.1:2'\n",
        "docker.io/m:1",
    ),
    ("[[registry]]\nprefix = 'x.io/m'\nlocation = '127.0.0.1:1/m:2'\n", "x.io/m:1"),
    ("[[registry]]\nprefix = 'x.io'\nlocation = 'http://127.0.0.1:1'\n", "x.io/m:1"),
    ("[[registry]]\nprefix = 'x.io'\nlocation = 'ftp://127.0.0.1:1'\n", "x.io/m:1"),
    ("[[registry]]\nprefix = 'x.io'\nlocation = 'ftp://127.0.0.1:1'\n", "127.0.0.1:1/m:1"),
    ("[[registry]]\nprefix = 'x.io'\nlocation = '127.0.0.1:1/UP'\n", "x.io/m:1"),
    ("[[registry]]\nprefix = 'x.io'\nlocation = 'plainhost'\n", "x.io/m:1"),
    ("[[registry]]\nprefix = 'x.io'\nlocation = 'docker.io'\n", "x.io/m:1"),
    ("[[registry]]\ninsecure = true\n", "127.0.0.1:1/m:1"),
    ("[[registry]]\nprefix = 'x.io'\nblocked = true\n", "127.0.0.1:1/m:1"),
    // Wildcards.
    ("[[registry]]\nprefix = '*.x.io'\nlocation = '127.0.0.1:1/w'\n", "a.b.x.io/m:1"),
    ("[[registry]]\nprefix = '*.x.io'\nlocation = '127.0.0.1:1'\n", "x.io.localhost/m:1"),
    ("[[registry]]\nprefix = '*.0.1'\nlocation = '127.0.0.2'\n", "127.0.0.1:1/m:1"),
    ("[[registry]]\nprefix = '*.0.1'\n[[registry.mirror]]\nlocation = '127.0.0.1:2'\n", "127.0.0.1:1/m:1"),
    (
        "[[registry]]\nprefix = '*.x.io'\nlocation = '127.0.0.1:1'\n[[registry]]\nprefix = 'a.x.io'\nlocation = '127.0.0.1:2'\n",
        "a.x.io/m:1",
    ),
    (
        "[[registry]]\nprefix = '*.x.io'\nlocation = '127.0.0.1:1'\n[[registry]]\nprefix = 'a.x.io/m'\nlocation = '127.0.0.1:2/m'\n",
        "a.x.io/m:1",
    ),
    ("[[registry]]\nprefix = '*.0.0.1'\nlocation = '127.0.0.2'\n", "127.0.0.1.0.0.1/m:1"),
    ("[[registry]]\nprefix = '127.*.1'\nlocation = '127.0.0.2'\n", "127.0.0.1:1/m:1"),
    ("[[registry]]\nprefix = '*0.0.1'\nlocation = '127.0.0.2'\n", "127.0.0.1:1/m:1"),
    ("[[registry]]\nprefix = '*0.0.1'\n", "127.0.0.1:1/m:1"),
    ("[[registry]]\nprefix = '*.x.io/foo'\nlocation = '127.0.0.1:1'\n", "127.0.0.1:1/m:1"),
    ("[[registry]]\nprefix = '*.x.io:5000'\nlocation = '127.0.0.1:1'\n", "127.0.0.1:1/m:1"),
    // Mirrors.
    (
        "[[registry]]\nprefix = 'x.io'\nlocation = '127.0.0.1:1'\n[[registry.mirror]]\nlocation = '127.0.0.1:2'\n\
        [[registry.mirror]]\nlocation = '127.0.0.1:3/deep'\n",
        "x.io/m:1",
    ),
    (MIRRORS, "x.io/m:1"),
    (MIRRORS, "x.io/mD"),
    (BY_DIGEST, "x.io/m:1"),
    (BY_DIGEST, "x.io/mD"),
    (
        "[[registry]]\nlocation = '127.0.0.1:1'\n[[registry.mirror]]\nlocation = '127.0.0.1:2'\npull-from-mirror = ''\n",
        "127.0.0.1:1/m:1",
    ),
    (
        "[[registry]]\nlocation = '127.0.0.1:1'\n[[registry.mirror]]\nlocation = '127.0.0.1:2'\npull-from-mirror = 'x'\n",
        "127.0.0.1:1/m:1",
    ),
    ("[[registry]]\nlocation = '127.0.0.1:1'\npull-from-mirror = 'all'\n", "127.0.0.1:1/m:1"),
    (
        "[[registry]]\nlocation = '127.0.0.1:1'\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = '127.0.0.1:2'\npull-from-mirror = 'all'\n",
        "127.0.0.1:1/m:1",
    ),
    ("[[registry]]\nlocation = '127.0.0.1:1'\n[[registry.mirror]]\ninsecure = true\n", "127.0.0.1:1/m:1"),
    (
        "[[registry]]\nlocation = '127.0.0.1:1'\n[[registry.mirror]]\nlocation = 'https://127.0.0.1:2'\n",
        "127.0.0.1:1/m:1",
    ),
    ("[[registry]]\nlocation = '127.0.0.1:1'\n[[registry.mirror]]\nlocation = 'plainhost'\n", "127.0.0.1:1/m:1"),
    // Blocks.
    ("[[registry]]\nlocation = '127.0.0.1'\nblocked = true\n", "127.0.0.1:1/m:1"),
    ("[[registry]]\nprefix = '*.0.1'\nblocked = true\n", "127.0.0.1:1/m:1"),
    (
        "[[registry]]\nlocation = '127.0.0.1:1'\nblocked = true\n[[registry]]\nprefix = '127.0.0.1:1/a'\nlocation = '127.0.0.1:1/a'\n",
        "127.0.0.1:1/b:1",
    ),
    ("[[registry]]\nprefix = '127.0.0.1:1/a'\nlocation = '127.0.0.1:1/a'\nblocked = true\n", "127.0.0.1:1/b:1"),
    (
        "[[registry]]\nprefix = 'x.io'\nlocation = '127.0.0.1:1'\n[[registry]]\nprefix = '127.0.0.1:1/m'\nlocation = '127.0.0.1:1/m'\nblocked = true\n",
        "x.io/m:1",
    ),
    (
        "[[registry]]\nprefix = 'x.io'\nlocation = '127.0.0.1:1'\n[[registry.mirror]]\nlocation = '127.0.0.1:2'\n\
        [[registry]]\nlocation = '127.0.0.1:2'\nblocked = true\n",
        "x.io/m:1",
    ),
    // Contradictions.
    (
        "[[registry]]\nlocation = '127.0.0.1:1'\ninsecure = true\n[[registry]]\nprefix = 'x.io'\nlocation = '127.0.0.1:1'\n",
        "127.0.0.1:1/m:1",
    ),
    (
        "[[registry]]\nlocation = '127.0.0.1:1'\nblocked = true\n[[registry]]\nprefix = 'x.io'\nlocation = '127.0.0.1:1'\n",
        "127.0.0.1:1/m:1",
    ),
    ("[[registry]]\nprefix = '*.x.io'\n[[registry]]\nprefix = '*.x.io'\nblocked = true\n", "127.0.0.1:1/m:1"),
    // Types and versions.
    ("= 1", "127.0.0.1:1/m:1"),
    ("[[registry]]\nlocation = '127.0.0.1:1'\ninsecure = 'true'\n", "127.0.0.1:1/m:1"),
    (
        "[registries.search]\nregistries = ['a.io']\n[registries.block]\nregistries = ['127.0.0.1:1']\n",
        "127.0.0.1:1/m:1",
    ),
    ("[registries.search]\nregistries = []\n", "127.0.0.1:1/m:1"),
    ("[registries]\n[[registry]]\nlocation = '127.0.0.1:1'\n", "127.0.0.1:1/m:1"),
    ("[registries.search]\nregistries = []\n[[registry]]\nlocation = '127.0.0.1:1'\n", "127.0.0.1:1/m:1"),
    ("[registries.search]\nregistries = []\n[aliases]\n", "127.0.0.1:1/m:1"),
    ("registries = ['a']\n", "127.0.0.1:1/m:1"),
    // Short names.
    ("unqualified-search-registries = ['a.io:5000/', 'localhost', 'plain']\nshort-name-mode = ''\n", "127.0.0.1:1/m:1"),
    ("unqualified-search-registries = ['https://a.io']\n", "127.0.0.1:1/m:1"),
    ("unqualified-search-registries = ['a.io/x']\n", "127.0.0.1:1/m:1"),
    ("unqualified-search-registries = ['']\n", "127.0.0.1:1/m:1"),
    ("unqualified-search-registries = 'a.io'\n", "127.0.0.1:1/m:1"),
    ("short-name-mode = 'sometimes'\n", "127.0.0.1:1/m:1"),
    ("[aliases]\na = 'a.io/b'\n'x/y' = 'localhost/b'\nz = ''\nhub = 'docker.io/c'\n", "127.0.0.1:1/m:1"),
    ("[aliases]\na = 'a.io/b:1'\n", "127.0.0.1:1/m:1"),
    ("[aliases]\n'a:1' = 'a.io/b'\n", "127.0.0.1:1/m:1"),
    ("[aliases]\n'a.io/b' = 'a.io/b'\n", "127.0.0.1:1/m:1"),
    ("[aliases]\na = 'b/c'\n", "127.0.0.1:1/m:1"),
    ("[aliases]\nA = 'b.io/c'\n", "127.0.0.1:1/m:1"),
];

const MIRRORS: &str = "[[registry]]\nprefix = 'x.io'\nlocation = '127.0.0.1:1'\n[[registry.mirror]]\n\
    location = '127.0.0.1:2'\npull-from-mirror = 'tag-only'\n[[registry.mirror]]\nlocation = '127.0.0.1:3'\n\
    pull-from-mirror = 'digest-only'\n[[registry.mirror]]\nlocation = '127.0.0.1:4'\npull-from-mirror = 'all'\n";

const BY_DIGEST: &str = "[[registry]]\nprefix = 'x.io'\nlocation = '127.0.0.1:1'\nmirror-by-digest-only = true\n\
    [[registry.mirror]]\nlocation = '127.0.0.1:2'\n";

#[test]
#[ignore = "needs root and contrib/testbed"]
fn same_places_are_asked_in_the_same_order_as_by_skopeo() {
    let shop = Workshop::new("registries-conf");
    let digest = format!("@sha256:{}", "a".repeat(64));
    for (conf, name) in ALIKE {
        let name = name.replace('D', &digest);
        assert_eq!(ours(conf, &name), skopeos(&shop, conf, &name), "{name} by\n{conf}");
    }
}

/// skopeo asks the location of a prefix that is blocked, which the man page forbids, and knows no IPv6 addresses.
#[test]
#[ignore = "needs root and contrib/testbed"]
fn what_differs_from_skopeo_is_known() {
    let shop = Workshop::new("registries-conf");
    let blocked = "[[registry]]\nprefix = 'x.io'\nlocation = '127.0.0.1:1'\nblocked = true\n";
    assert_eq!(skopeos(&shop, blocked, "x.io/m:1"), ["127.0.0.1:1/m:1"]);
    assert_eq!(ours(blocked, "x.io/m:1"), [""; 0]);
    let ipv6 = "[[registry]]\nprefix = '[::1]:5000'\nlocation = '[::1]:1'\n";
    assert_eq!(skopeos(&shop, ipv6, "[::1]:5000/m:1"), [""; 0]);
    assert_eq!(ours(ipv6, "[::1]:5000/m:1"), ["[::1]:1/m:1"]);
}

#[test]
#[ignore = "needs root and contrib/testbed"]
fn same_files_are_read_in_the_same_order_as_by_skopeo() {
    let shop = Workshop::new("registries-conf");
    let own = "home/.config/containers";
    let homes: [&[&str]; 4] = [
        &["home/x"],
        &["home/.config/containers/registries.conf.d/b.conf", "home/.config/containers/registries.conf.d/a.conf"],
        &["home/.config/containers/registries.conf", "home/.config/containers/registries.conf.d/c.conf/d.conf"],
        &["home/.config/containers/registries.conf", "linked/a.conf"],
    ];
    shop.write("named.conf", b"");
    for files in homes {
        shop.run("rm -rf home xdg && mkdir -p home");
        shop.write("xdg/containers/registries.conf", b"= 1");
        files.iter().for_each(|file| shop.write(file, b""));
        if files.contains(&"linked/a.conf") {
            shop.run(&format!("ln -s $PWD/linked {own}/registries.conf.d"));
        }
        for named in [None, Some("named.conf"), Some("absent.conf")] {
            let path = named.map(|name| shop.path(name).display().to_string());
            let flag = path.as_ref().map_or_else(String::new, |path| format!("--registries-conf {path}"));
            let said = shop.try_run(&format!(
                "HOME=$PWD/home XDG_CONFIG_HOME=$PWD/xdg skopeo --debug {flag} inspect --raw docker://127.0.0.1:1/m:1"
            ));
            let theirs: Vec<String> =
                between(&said.stderr, "Loading registries configuration \\\"", "\\\"\"").collect();
            let is_read = said.stderr.contains("Trying to access");
            let (home, xdg) = (shop.path("home"), shop.path("xdg"));
            let mut pairs = vec![("HOME", home.to_str().unwrap()), ("XDG_CONFIG_HOME", xdg.to_str().unwrap())];
            pairs.extend(path.as_deref().map(|path| ("CONTAINERS_REGISTRIES_CONF", path)));
            let read = Environment::from_pairs(&pairs, true).registries_conf();
            assert_eq!(read.is_ok(), is_read, "{files:?} {named:?}: {said:?}");
            if let Ok(read) = read {
                let ours = read.main.into_iter().chain(read.drop_ins).map(|(path, _)| path.display().to_string());
                assert_eq!(ours.collect::<Vec<_>>(), theirs, "{files:?} {named:?}");
            }
        }
    }
}

/// Files of short names with what podman, which pulls images by them, does with a name; `?` where it refuses to choose.
#[test]
#[ignore = "needs root and contrib/testbed"]
fn short_names_stand_for_what_podman_takes_them_for() {
    let shop = Workshop::new("registries-conf");
    let digest = format!("@sha256:{}", "a".repeat(64));
    let two = "unqualified-search-registries = ['127.0.0.1:1', '127.0.0.1:2']\n";
    let one = "unqualified-search-registries = ['127.0.0.1:1']\nshort-name-mode = 'enforcing'\n";
    let alias = "[aliases]\n'x/y' = '127.0.0.1:3/z'\n";
    let cases = [
        (two.to_owned(), String::from("x/y:1")),
        (format!("{two}short-name-mode = 'disabled'\n"), String::from("x/y")),
        (format!("{two}short-name-mode = 'enforcing'\n"), String::from("x/y:1")),
        (format!("{two}short-name-mode = 'enforcing'\n{alias}"), String::from("x/y:1")),
        (one.to_owned(), String::from("x/y")),
        (alias.to_owned(), format!("x/y{digest}")),
        (format!("{one}[aliases]\n'x/y' = ''\n"), String::from("x/y:1")),
        (alias.to_owned(), String::from("127.0.0.1:4/x/y:1")),
    ];
    for (conf, name) in cases {
        shop.write("registries.conf", conf.as_bytes());
        let said = shop.try_run(&format!(
            "CONTAINERS_REGISTRIES_CONF=$PWD/registries.conf podman pull --retry 0 --tls-verify=false {name} </dev/null"
        ));
        let mut theirs: Vec<String> = between(&said.stderr, "Trying to pull ", "...\n").collect();
        if said.stderr.contains("resolution enforced but cannot prompt") {
            theirs.push(String::from("?"));
        }
        let mut read = RegistriesConf::default();
        read.add("registries.conf", &conf).unwrap();
        let meaning = read.short_names().meaning(&name).unwrap();
        let ours: Vec<String> = match meaning {
            artishim::registries_conf::short_names::Meaning::Unclear(_) => vec![String::from("?")],
            other => other.names().iter().map(ToString::to_string).collect(),
        };
        assert_eq!(ours, theirs, "{name} by\n{conf}{said:?}");
    }
}

/// `podman artifact` takes every short name for Docker Hub's, so it is handed full ones.
#[test]
#[ignore = "needs root and contrib/testbed"]
fn podmans_artifacts_know_no_short_names() {
    let shop = Workshop::new("registries-conf");
    shop.write(
        "registries.conf",
        b"unqualified-search-registries = ['127.0.0.1:1']\n[aliases]\nalias = '127.0.0.1:1/z'\n",
    );
    for name in ["alias", "x/y:1"] {
        let said = shop.try_run(&format!(
            "CONTAINERS_REGISTRIES_CONF=$PWD/registries.conf \
            podman --log-level debug artifact pull --retry 0 {name}"
        ));
        let asked: Vec<String> = between(&said.stderr, "Trying to access \\\"", "\\\"\"").collect();
        assert_eq!(asked, [name.parse::<Reference>().unwrap().to_string()], "{said:?}");
    }
}

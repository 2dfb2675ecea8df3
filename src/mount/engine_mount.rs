//! The `--mount` values an engine is told in an artifact mount's place.

use super::Dialect;

/// A `--mount` value that an engine understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineMount {
    /// A file or directory of the engine's host.
    Bind {
        /// The path on the host.
        source: String,
        /// The path in the container.
        destination: String,
    },
    /// A named volume, or one path in it.
    Volume {
        /// The volume's name.
        name: String,
        /// The path in the container.
        destination: String,
        /// The path in the volume; needs Docker's API 1.45 or podman 5.4.
        subpath: Option<String>,
    },
    /// The folder of an image that holds a model; podman 5.1 and newer.
    Image {
        /// The image's name.
        name: String,
        /// The path in the container.
        destination: String,
        /// The folder in the image.
        subpath: String,
    },
}

impl EngineMount {
    /// The value of `--mount`, always read-only, quoted as CSV where a path needs it.
    pub fn to_value(&self, dialect: Dialect) -> String {
        let (read_only, subpath_key) = match dialect {
            Dialect::Docker => ("readonly", "volume-subpath"),
            Dialect::Podman => ("ro=true", "subpath"),
        };
        let (kind, source, destination, subpath) = match self {
            Self::Bind { source, destination } => ("bind", source, destination, None),
            Self::Volume { name, destination, subpath } => ("volume", name, destination, subpath.as_ref()),
            Self::Image { name, destination, subpath } => return image_value(name, destination, subpath),
        };
        let mut fields = vec![format!("type={kind}"), format!("src={source}"), format!("dst={destination}")];
        fields.push(read_only.to_owned());
        if kind == "volume" && dialect == Dialect::Docker {
            // Or docker, even read-only, copies what the image has at the destination into the volume first, and
            // fails where that is a file.
            fields.push("volume-nocopy".to_owned());
        }
        fields.extend(subpath.map(|path| format!("{subpath_key}={path}")));
        record(&fields)
    }
}

/// podman's image mounts are read-only unless asked otherwise, and know no other word for it.
fn image_value(name: &str, destination: &str, subpath: &str) -> String {
    let fields =
        ["type=image".to_owned(), format!("src={name}"), format!("dst={destination}"), format!("subpath={subpath}")];
    record(&fields)
}

/// Fields as one CSV record, as the engines read it.
pub(super) fn record(fields: &[String]) -> String {
    fields.iter().map(|field| quoted(field)).collect::<Vec<_>>().join(",")
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}

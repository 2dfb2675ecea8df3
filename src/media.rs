//! Media types and annotation keys, each with the place it comes from.

/// OCI image-spec 1.1, also the manifest of an artifact.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image-spec 1.1.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker distribution, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker distribution, schema 2.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Image-spec 1.1.0-rc1 and rc2 only; some registries still hold it.
pub const ARTIFACT_MANIFEST: &str = "application/vnd.oci.artifact.manifest.v1+json";

/// Every manifest a registry may hold: with fewer in `Accept`, docker-registry answers 404 for the others.
pub const MANIFESTS: [&str; 5] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, ARTIFACT_MANIFEST];

/// OCI image-spec 1.1: the config of an image.
pub const OCI_IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Docker schema 2: the config of an image, and of an Ollama model.
pub const DOCKER_IMAGE_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// OCI image-spec 1.1: `{}`, the config of an artifact that has none.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// The type `oras push` gives to plain files and to folders.
pub const OCI_LAYER_TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// CNCF model-spec: the artifact type of ModelPack and of RamaLama's artifacts.
pub const MODELPACK: &str = "application/vnd.cncf.model.manifest.v1+json";
/// CNCF model-spec.
pub const MODELPACK_CONFIG: &str = "application/vnd.cncf.model.config.v1+json";

/// OCI image-spec: the file name of a layer.
pub const TITLE: &str = "org.opencontainers.image.title";
/// OCI image-spec: when the artifact was made, RFC 3339.
pub const CREATED: &str = "org.opencontainers.image.created";
/// OCI image-spec: the licences, as an SPDX expression.
pub const LICENCES: &str = "org.opencontainers.image.licenses";
/// OCI image-spec: the version of what was packaged.
pub const VERSION: &str = "org.opencontainers.image.version";
/// OCI image-spec: the name of an entry in a layout's index.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// CNCF model-spec: the path of a layer's file.
pub const FILEPATH: &str = "org.cncf.model.filepath";
/// CNCF model-spec: the file's metadata as JSON.
pub const FILE_METADATA: &str = "org.cncf.model.file.metadata+json";
/// Model-spec to v0.0.6.
pub const CNAI_FILEPATH: &str = "org.cnai.model.filepath";
/// Model-spec to v0.0.6.
pub const CNAI_FILE_METADATA: &str = "org.cnai.model.file.metadata+json";
/// ORAS: the layer is a folder and is to be unpacked.
pub const ORAS_UNPACK: &str = "io.deis.oras.content.unpack";
/// The digest of the tar of a folder without its compression.
pub const ORAS_DIGEST: &str = "io.deis.oras.content.digest";
/// BuildKit: an index entry that describes another one.
pub const DOCKER_REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// Model-spec to v0.0.5.
pub const CNAI_FILE_METADATA_OLD: &str = "org.cnai.model.file.metadata";
/// OLOT: the name of the file in a layer that is a tar.
pub const OLOT_NAME: &str = "olot.layer.content.name";
/// OLOT: `file` or `directory`, what the layer was made of.
pub const OLOT_TYPE: &str = "olot.layer.content.type";
/// OLOT: the digest of the file in a layer that is a tar.
pub const OLOT_DIGEST: &str = "olot.layer.content.digest";
/// OLOT: the path of the file in the image.
pub const OLOT_PATH: &str = "olot.layer.content.inlayerpath";
/// OLOT: `modelpack` on the index entry of the ModelPack child beside a modelcar.
pub const MODELCAR_TYPE: &str = "io.opendatahub.modelcar.manifest.type";
/// KitOps: the Kitfile as JSON, on the manifest of a ModelPack.
pub const KITFILE: &str = "ml.kitops.modelkit.kitfile";
/// Cog: the name of the weights, also on the entry of an index.
pub const COG_NAME: &str = "run.cog.weight.name";
/// Cog: the bytes of all files in a layer.
pub const COG_SIZE: &str = "run.cog.weight.size.uncompressed";
/// Cog before 2026: where in the container the file of a layer belongs.
pub const COG_DESTINATION: &str = "vnd.cog.weight.dest";

/// Ours, on an entry of the store's index: which part of the manifest the name stands for.
pub const SELECTION: &str = "io.artishim.selection";

/// Ours, on an entry of the store's index: the digest of the index that the manifest was chosen from, where the name has it.
pub const CHOSEN_FROM: &str = "io.artishim.index";

/// Cosign: what a signature is over, as a layer.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Cosign: the artifact type of such signatures where they refer to what they sign.
pub const COSIGN_SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// Cosign: the signature over the layer's bytes, in base64.
pub const COSIGN_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// Sigstore: a signature with all that it needs to be verified.
pub const SIGSTORE_BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Every media type of CNCF model-spec since v0.0.7.
pub const MODELPACK_PREFIX: &str = "application/vnd.cncf.model.";
/// The same types to v0.0.6.
pub const CNAI_PREFIX: &str = "application/vnd.cnai.model.";
/// Every media type of Docker Model Runner.
pub const DOCKER_AI_PREFIX: &str = "application/vnd.docker.ai.";
/// Every layer type of Ollama.
pub const OLLAMA_PREFIX: &str = "application/vnd.ollama.image.";
/// Docker schema 2: a layer of an image.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

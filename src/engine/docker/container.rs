use std::collections::HashMap;

use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, ContainerSummary, ContainerSummaryStateEnum, HostConfig, Mount, MountType, MountVolumeOptions,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::StreamExt;

use super::{Api, found};
use crate::engine::error::{Error, Result};
use crate::engine::{EMPTY_IMAGE, tape};

/// Labels of a container or a volume.
pub type Labels = HashMap<String, String>;

/// A container as the engine describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its labels, the image's included.
    pub labels: Labels,
    /// `created`, `running`, `exited` ..., in the engine's word.
    pub state: String,
}

impl Api {
    /// The id of an image the engine has.
    pub async fn image_id(&self, image: &str) -> Result<Option<String>> {
        let inspected = self.docker.inspect_image(image).await;
        let inspected = found(inspected.map_err(|source| self.error(format!("inspect image {image}"), source)))?;
        Ok(inspected.map(|image_found| image_found.id.unwrap_or_else(|| image.to_owned())))
    }

    /// The id of an image without files, made if need be.
    pub async fn empty_image(&self) -> Result<String> {
        match self.image_id(&format!("{EMPTY_IMAGE}:latest")).await? {
            Some(id) => Ok(id),
            None => self.import_empty_image().await,
        }
    }

    async fn import_empty_image(&self) -> Result<String> {
        let options = CreateImageOptionsBuilder::default().from_src("-").repo(EMPTY_IMAGE).tag("latest").build();
        let tar = bollard::body_full(Bytes::from_static(&tape::EMPTY));
        let mut answers = self.docker.create_image(Some(options), Some(tar), None);
        let mut id = None;
        while let Some(answer) = answers.next().await {
            let answer = answer.map_err(|source| self.error("import an empty image", source))?;
            id = answer.status.filter(|status| status.starts_with("sha256:")).or(id);
        }
        id.ok_or_else(|| Error::Broken {
            endpoint: self.endpoint.clone(),
            action: "name the image it imported".to_owned(),
            source: "its answer ended without an id".into(),
        })
    }

    /// Makes a container of `image` that is never started, and returns its id.
    pub async fn create_container(
        &self,
        name: &str,
        image: &str,
        mounts: Vec<Mount>,
        labels: Labels,
    ) -> Result<String> {
        self.create(&self.docker, name, image, mounts, labels).await
    }

    /// The same by a connection that may wait longer.
    pub(super) async fn create(
        &self,
        docker: &Docker,
        name: &str,
        image: &str,
        mounts: Vec<Mount>,
        labels: Labels,
    ) -> Result<String> {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            // An engine wants a command even for a container that never runs.
            cmd: Some(vec!["x".to_owned()]),
            labels: Some(labels),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                mounts: Some(mounts),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let created = docker.create_container(Some(options), body).await;
        Ok(created.map_err(|source| self.error(format!("create container {name}"), source))?.id)
    }

    /// Removes a container, running or not, with its anonymous volumes; one that is gone is fine.
    pub async fn remove_container(&self, container: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let removed = self.unhurried().remove_container(container, Some(options)).await;
        found(removed.map_err(|source| self.error(format!("remove container {container}"), source))).map(drop)
    }

    /// Removes the containers that were never started, have a label, and whose names begin with `name_prefix`.
    pub async fn remove_created_containers(&self, name_prefix: &str, label: &str) -> Result<()> {
        // Podman has states that bollard cannot read.
        let filters = HashMap::from([("status", vec!["created"]), ("label", vec![label])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listed = self.unhurried().list_containers(Some(options)).await;
        let listed = listed.map_err(|source| self.error("list its containers", source))?;
        for name in listed.iter().filter_map(|container| created_name(container, name_prefix)) {
            match self.remove_container(name).await {
                // Somebody else is removing it.
                Err(error) if error.is_conflict() => tracing::debug!(container = name, %error, "not removed"),
                result => result?,
            }
        }
        Ok(())
    }

    /// Looks a container up by its name or id; Docker answers only when nobody unpacks an archive in it any more.
    pub async fn find_container(&self, name: &str) -> Result<Option<Container>> {
        let inspected = self.unhurried().inspect_container(name, None::<InspectContainerOptions>).await;
        let inspected = found(inspected.map_err(|source| self.error(format!("inspect container {name}"), source)))?;
        Ok(inspected.map(|inspected| Container {
            id: inspected.id.unwrap_or_else(|| name.to_owned()),
            labels: inspected.config.and_then(|config| config.labels).unwrap_or_default(),
            state: inspected.state.and_then(|state| state.status).map(|status| status.to_string()).unwrap_or_default(),
        }))
    }
}

/// The name that begins with `prefix`, of a container that was never started.
fn created_name<'a>(container: &'a ContainerSummary, prefix: &str) -> Option<&'a str> {
    let is_created = container.state == Some(ContainerSummaryStateEnum::CREATED);
    // All have the slash but those of old versions of Podman.
    let mut names = container.names.iter().flatten().map(|name| name.strip_prefix('/').unwrap_or(name));
    names.find(|name| is_created && name.starts_with(prefix))
}

/// A read-only bind of a path on the engine's side.
pub(super) fn bind(source: &str, target: &str) -> Mount {
    Mount { read_only: Some(true), ..mount(MountType::BIND, source, target) }
}

/// A writable mount of a named volume. The engine makes one that is gone again, and then it is to have our labels.
pub(super) fn volume(source: &str, target: &str, labels: Labels) -> Mount {
    let options = MountVolumeOptions { labels: Some(labels), ..MountVolumeOptions::default() };
    Mount { volume_options: Some(options), ..mount(MountType::VOLUME, source, target) }
}

fn mount(kind: MountType, source: &str, target: &str) -> Mount {
    Mount { typ: Some(kind), source: Some(source.to_owned()), target: Some(target.to_owned()), ..Mount::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_containers_of_that_name_that_never_ran_are_swept() {
        let cases = [
            (r#"{"Names":["/models-look-1-2"],"State":"created"}"#, Some("models-look-1-2")),
            (r#"{"Names":["models-look-1-2"],"State":"created"}"#, Some("models-look-1-2")),
            (r#"{"Names":["/models-look-1-2"],"State":"running"}"#, None),
            (r#"{"Names":["/models-look-1-2"],"State":"exited"}"#, None),
            (r#"{"Names":["/my-models-look-1"],"State":"created"}"#, None),
            (r#"{"Names":["/models-look-1-2"]}"#, None),
            (r#"{"State":"created"}"#, None),
        ];
        for (json, expected) in cases {
            let container = serde_json::from_str(json).expect("is a container");
            assert_eq!(created_name(&container, "models-look-"), expected, "{json}");
        }
    }

    #[test]
    fn a_volume_made_by_its_mount_has_our_labels() {
        let labels = Labels::from([("org.artishim.digest".to_owned(), "sha256:0".to_owned())]);
        let mount = serde_json::to_value(volume("models", "/v", labels)).expect("is JSON");
        let expected = serde_json::json!({
            "Type": "volume", "Source": "models", "Target": "/v",
            "VolumeOptions": {"Labels": {"org.artishim.digest": "sha256:0"}},
        });
        assert_eq!(mount, expected);
    }
}

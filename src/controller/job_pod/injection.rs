//! A vendor's image as the image of a run: its tools and libraries, and Lifeboat's static binary
//! beside them.
//!
//! An init container of Lifeboat's own image copies the binary into an empty directory, from where
//! the vendor's container runs it. Nothing of the vendor's image is changed, and both containers are
//! as restricted as any other.

use k8s_openapi::api::core::v1::{Container, EmptyDirVolumeSource, Volume, VolumeMount};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::api::order::paths;

/// Name of the init container.
pub const INJECTION: &str = "inject";
const VOLUME: &str = "binary";
/// The binary has some 40 MB; one that was built without optimisation has more.
const SIZE_LIMIT: &str = "1Gi";

/// The volume that the binary is copied into.
pub(super) fn volume() -> Volume {
    Volume {
        name: VOLUME.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity(SIZE_LIMIT.to_owned())),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// Makes `run`, a container of Lifeboat's image, one of `vendor_image`. Gives the container that has
/// to run before it.
pub(super) fn inject(run: &mut Container, vendor_image: &str) -> Container {
    let copy = Container {
        name: INJECTION.to_owned(),
        image: run.image.replace(vendor_image.to_owned()),
        args: Some(
            [INJECTION, "--to", paths::BINARY]
                .map(str::to_owned)
                .to_vec(),
        ),
        resources: run.resources.clone(),
        security_context: run.security_context.clone(),
        volume_mounts: Some(vec![mount(false)]),
        ..Container::default()
    };
    run.command = Some(vec![paths::BINARY.to_owned()]);
    run.volume_mounts.get_or_insert_default().push(mount(true));
    copy
}

fn mount(read_only: bool) -> VolumeMount {
    VolumeMount {
        name: VOLUME.to_owned(),
        mount_path: paths::BINARY
            .rsplit_once('/')
            .map_or_else(String::new, |(directory, _)| directory.to_owned()),
        read_only: Some(read_only),
        ..VolumeMount::default()
    }
}

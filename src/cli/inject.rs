//! `lifeboat inject`: copies the running binary, for a container of an image that has no Lifeboat.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::CliError;

/// Copies this binary to `to`, for anybody to run and nobody to change.
pub(super) fn inject(to: &Path) -> Result<(), CliError> {
    let problem = |error: std::io::Error| CliError::file(to, &error);
    let own = std::env::current_exe().map_err(problem)?;
    std::fs::copy(own, to).map_err(problem)?;
    std::fs::set_permissions(to, Permissions::from_mode(0o555)).map_err(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_this_binary_and_can_be_run() {
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("lifeboat");
        inject(&to).unwrap();
        let own = std::fs::metadata(std::env::current_exe().unwrap()).unwrap();
        let copy = std::fs::metadata(&to).unwrap();
        assert_eq!(copy.len(), own.len());
        assert_eq!(copy.permissions().mode() & 0o777, 0o555);
        let nowhere = inject(&directory.path().join("missing/lifeboat"));
        assert!(
            nowhere
                .unwrap_err()
                .to_string()
                .contains("missing/lifeboat")
        );
    }
}

//! `known_registries`.

use peerchat::known_registries::{KnownRegistries, KnownRegistry};
use tempfile::TempDir;

thread_local! {
    static FOLDER: TempDir = tempfile::tempdir().expect("a folder");
}

/// Looks for a registry in the file, keeps another one, and looks again.
pub fn check(data: &[u8]) {
    FOLDER.with(|folder| {
        let file = KnownRegistries::in_folder(folder.path());
        std::fs::write(file.path(), data).expect("the disk works");
        let Ok(before) = file.find("a:1") else { return };
        let known = KnownRegistry {
            fingerprint: fingerprint(),
            folder: Some("/data/registry@b:2".into()),
        };
        file.keep("b:2", &known).expect("the file was read");
        assert_eq!(file.find("a:1").expect("the file was read"), before, "what others wrote stays");
        assert_eq!(file.find("b:2").expect("the file was read"), Some(known));
    });
}

fn fingerprint() -> peerchat_identity::Fingerprint {
    format!("SHA256:{}A", "b".repeat(42)).parse().expect("a fingerprint")
}

/// A file as it is.
pub fn seeds() -> Vec<Vec<u8>> {
    let print = fingerprint();
    vec![format!("# by hand\na:1 {print}\nb:2 {print} /data/registry@b:2\n").into_bytes(), format!("a:1 {print} /x").into_bytes()]
}

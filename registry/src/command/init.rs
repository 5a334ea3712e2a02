//! `peerchat-registry init`: an authority that several registries share.

use std::path::Path;

use crate::authority::{Authority, AuthorityError};

/// Makes the authority, and says what to do with it.
pub(super) fn run(ca: &Path) -> Result<String, AuthorityError> {
    let authority = Authority::create(ca)?;
    let (ca, fingerprint) = (ca.display(), authority.fingerprint());
    Ok(format!(
        "\
Made an authority for several registries in {ca}.
Peers will know each of them by the fingerprint {fingerprint}

Now copy that folder to every machine that is to run one, over a way that nobody else can read:
  rsync -a {ca}/ HOST:{ca}/
Folder (0700) and files (0600) must stay their owner's alone. Whoever has ca.key can certify
anybody as anyone: keep one copy more in a safe place, and no further ones. Then start on each,
with its own number:
  peerchat-registry --id 1 --cluster 1=HOST:PORT,2=HOST:PORT,3=HOST:PORT --ca {ca}"
    ))
}

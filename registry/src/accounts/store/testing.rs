//! What tests of the database share.

use peerchat_proto::names::UserName;

use super::{Place, Store, StoreError, WallTime};
use crate::{
    accounts::{
        DeviceLabel,
        change::{Change, Claim, Done, Proof, Settled, What},
        invite::InviteHash,
        looks::looks,
        password::PasswordHash,
        rules::Registration,
    },
    routes::DeviceId,
};

pub(super) const NOW: WallTime = WallTime(1_800_000_000);

pub(super) fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

pub(super) fn device(n: u8) -> DeviceId {
    DeviceId([n; 32])
}

pub(super) fn folder() -> (tempfile::TempDir, Place) {
    let parent = tempfile::tempdir().unwrap();
    let place = Place::Folder(parent.path().join("data of % ? # it"));
    (parent, place)
}

pub(super) fn claim(user: &str, n: u8, proof: Proof) -> Claim {
    Claim {
        name: name(user),
        device: device(n),
        label: DeviceLabel::new("laptop"),
        proof,
        invite: None,
        registration: Registration::Open,
        looks: looks(&name(user)),
    }
}

pub(super) async fn settle(store: &Store, user: &str, n: u8, proof: Proof) -> Result<Settled, StoreError> {
    store.settle(claim(user, n, proof), NOW).await
}

/// Changes, one by one.
impl Store {
    pub(crate) async fn settle(&self, claim: Claim, at: WallTime) -> Result<Settled, StoreError> {
        let what = What::Claim(claim);
        match self.decide(&Change { at, what }).await? {
            Done::LetIn(settled) => Ok(settled),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn approve(
        &self,
        name: &UserName,
        by: DeviceId,
        device: DeviceId,
        label: &DeviceLabel,
        at: WallTime,
    ) -> Result<(), StoreError> {
        let (name, label) = (name.clone(), label.clone());
        let what = What::Approve {
            name,
            by,
            device,
            label,
        };
        self.decide(&Change { at, what }).await.map(drop)
    }

    pub(super) async fn revoke(
        &self,
        name: &UserName,
        by: DeviceId,
        device: DeviceId,
        at: WallTime,
    ) -> Result<(), StoreError> {
        let name = name.clone();
        let what = What::Revoke { name, by, device };
        self.decide(&Change { at, what }).await.map(drop)
    }

    pub(super) async fn set_password(
        &self,
        name: &UserName,
        by: DeviceId,
        password: &PasswordHash,
        at: WallTime,
    ) -> Result<(), StoreError> {
        let (name, password) = (name.clone(), password.clone());
        let what = What::SetPassword { name, by, password };
        self.decide(&Change { at, what }).await.map(drop)
    }

    pub(super) async fn add_invite(
        &self,
        invite: InviteHash,
        expires: WallTime,
        at: WallTime,
    ) -> Result<(), StoreError> {
        let what = What::AddInvite { invite, expires };
        self.decide(&Change { at, what }).await.map(drop)
    }
}

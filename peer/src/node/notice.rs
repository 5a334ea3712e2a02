//! What the user must know, with a code that scripts can rely on.

/// Something to know, with a code for scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What kind.
    pub code: Code,
    /// What happened, to what, and what to do next.
    pub message: String,
}

/// The kinds of notices. Scripts rely on [`Code::as_str`]: add, never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The name was never heard of.
    NoSuchUser,
    /// A name breaks a rule.
    BadName,
    /// There is no such command.
    NoSuchCommand,
    /// A command lacks something or has too much.
    Usage,
    /// Text was typed and no conversation is current.
    NoConversation,
    /// A text is longer than the limit.
    TextTooLong,
    /// The user is not in that conversation.
    NotJoined,
    /// The registry does not answer.
    RegistryUnavailable,
    /// Another live device has the name.
    NameInUse,
    /// Another process uses the data folder.
    DataInUse,
    /// A log is damaged; what was lost is pulled from the others.
    LogDamaged,
    /// The disk refuses; the peer must end.
    DiskFailed,
    /// Another peer breaks the protocol; what it sent was refused.
    PeerMisbehaved,
    /// A member has dialled, and cannot be dialled.
    CannotDial,
    /// A device that is none of the user's wanted to be.
    AccountAttempt,
    /// The registry is not the one that was met at its address before, or is not known yet.
    RegistryUntrusted,
    /// The own certificate ends soon, or has ended.
    CertificateEnds,
    /// A member sends more than is taken at once; the rest is pulled later.
    Flooding,
    /// The user was never met, or not with that device.
    NotMet,
    /// Whom the user had met and trusted is not known any longer.
    TrustLost,
    /// Anything else the registry or the network says no to.
    Refused,
    /// A member serves a history that cannot be genuine; it is pulled from another.
    BadHistory,
    /// A device has written two different entries with one number.
    Fork,
    /// This machine's clock is not the registry's, or is again.
    ClockWrong,
    /// What is kept belongs to another authority than the registry that is used now.
    OtherAuthority,
    /// The registry says no later to what it had allowed. For scripts it is the same.
    RefusedLater,
}

impl Code {
    /// Whether it refuses what the user typed, and does not tell of something that happened.
    pub fn is_refusal(self) -> bool {
        match self {
            Self::NoSuchUser
            | Self::BadName
            | Self::NoSuchCommand
            | Self::Usage
            | Self::NoConversation
            | Self::TextTooLong
            | Self::NotJoined
            | Self::NotMet
            | Self::Refused => true,
            Self::RegistryUnavailable
            | Self::NameInUse
            | Self::DataInUse
            | Self::LogDamaged
            | Self::DiskFailed
            | Self::PeerMisbehaved
            | Self::CannotDial
            | Self::AccountAttempt
            | Self::RegistryUntrusted
            | Self::CertificateEnds
            | Self::ClockWrong
            | Self::Flooding
            | Self::TrustLost
            | Self::BadHistory
            | Self::Fork
            | Self::OtherAuthority
            | Self::RefusedLater => false,
        }
    }

    /// The code as scripts see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSuchUser => "no_such_user",
            Self::BadName => "bad_name",
            Self::NoSuchCommand => "no_such_command",
            Self::Usage => "usage",
            Self::NoConversation => "no_conversation",
            Self::TextTooLong => "text_too_long",
            Self::NotJoined => "not_joined",
            Self::RegistryUnavailable => "registry_unavailable",
            Self::NameInUse => "name_in_use",
            Self::DataInUse => "data_in_use",
            Self::LogDamaged => "log_damaged",
            Self::DiskFailed => "disk_failed",
            Self::PeerMisbehaved => "peer_misbehaved",
            Self::CannotDial => "cannot_dial",
            Self::AccountAttempt => "account_attempt",
            Self::RegistryUntrusted => "registry_untrusted",
            Self::CertificateEnds => "certificate_ends",
            Self::ClockWrong => "clock_wrong",
            Self::Flooding => "flooding",
            Self::NotMet => "not_met",
            Self::TrustLost => "trust_lost",
            Self::Refused | Self::RefusedLater => "refused",
            Self::BadHistory => "bad_history",
            Self::Fork => "fork",
            Self::OtherAuthority => "other_authority",
        }
    }
}

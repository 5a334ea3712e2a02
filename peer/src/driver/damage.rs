//! What the user is told of damaged logs at a start.

use crate::{
    log::{Damage, DamageKind, Rule, SetAside},
    node::{
        event::{Code, Notice},
        types::{Conversation, UserName},
    },
};

/// What is said of damage that was found in a log.
pub(super) fn damage_notice(conversation: &Conversation, user: &UserName, damage: &Damage) -> Notice {
    let title = conversation.label(user);
    let then = match damage.kind {
        DamageKind::Misplaced { .. } => {
            "the file was set aside; if its own conversation lacks it, put it there as log while no peer runs; "
        }
        _ => "",
    };
    let message = format!("{title}: {damage}; {then}what is missing is pulled from the others when you are in {title}");
    Notice {
        code: Code::LogDamaged,
        message,
    }
}

/// What is said at every start for as long as entries wait in a file that was set aside. Of one that cannot be read at all nothing is
/// waited for: that was said when it was set aside.
pub(super) fn waiting_notice(conversation: &Conversation, user: &UserName, file: &SetAside) -> Option<Notice> {
    let count = file.frames.filter(|count| *count > 0)?;
    let title = conversation.label(user);
    let path = file.path.display();
    let why = file.first.as_ref().map(|first| format!(", the first since {first}"));
    let why = why.unwrap_or_default();
    let then = match &file.first {
        Some(DamageKind::OutOfPlace {
            rule: Rule::Contiguous { .. } | Rule::CauseFirst(_),
            ..
        }) => "they come in once what is missing was pulled from the others",
        Some(_) => {
            "the file is kept for those that can still come in, and for a version of this program that can read the others"
        }
        None => "the log has as many entries as one can have",
    };
    let message = format!("{title}: of what is in {path} {count} entries are not in the log{why}; {then}");
    Some(Notice {
        code: Code::LogDamaged,
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::types::{Author, DeviceId, EntryError, Seen, Seq};

    #[test]
    fn entries_are_promised_only_where_they_can_come_in() {
        let alice = UserName::new("alice").unwrap();
        let author = Author {
            device: DeviceId([1; 32]),
            incarnation: 1,
        };
        let out_of_place = |rule| DamageKind::OutOfPlace {
            author,
            seq: Seq(3),
            rule,
        };
        let said = |frames, first| {
            let path = "log.damaged-1".into();
            let file = SetAside {
                path,
                frames,
                misplaced: 0,
                first,
            };
            waiting_notice(&Conversation::direct(&alice, &alice), &alice, &file).map(|notice| notice.message)
        };
        let not_an_entry = DamageKind::NotAnEntry(EntryError::TooLong { found: 2, limit: 1 });
        let cause = Seen { author, seq: Seq(2) };
        for (first, promised) in [
            (Some(out_of_place(Rule::CauseFirst(cause))), true),
            (Some(out_of_place(Rule::Contiguous { expected: Seq(2) })), true),
            (Some(out_of_place(Rule::Length { found: 0 })), false),
            (Some(not_an_entry), false),
            (None, false),
        ] {
            let message = said(Some(2), first).unwrap();
            assert_eq!(message.contains("they come in"), promised, "{message}");
        }
        assert_eq!(said(Some(0), None), None);
    }
}

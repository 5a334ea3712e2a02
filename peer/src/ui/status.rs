//! The line above the prompt: who is here, how far the last own message got, and what was not read yet. A printed line cannot
//! change any more; this one can, so all that changes by itself is told here and not in the transcript.

use super::{
    colour::Paint,
    render::listed,
    safe::visible_line,
    session::{Session, Standing},
    width,
};

/// The most conversations with something unread that are named.
const UNREAD_SHOWN_MAX: usize = 6;

/// What stands where no conversation is current.
const NOWHERE: &str = "in no conversation: /join ROOM or /msg USER";

/// The line, cut to `columns`.
pub(super) fn row(session: &Session, registry_lost: bool, columns: usize, paint: Paint) -> String {
    let mut parts = Vec::new();
    if let Some(current) = session.current() {
        parts.push(visible_line(&current.label(session.me())));
        let names = |wanted| {
            let names = session.others().filter(move |(_, standing)| *standing == wanted);
            names.map(|(user, _)| visible_line(user.shown())).collect::<Vec<_>>()
        };
        let (here, away) = (names(Standing::Here), names(Standing::Away));
        if !here.is_empty() {
            parts.push(listed(&here));
        }
        if !away.is_empty() {
            parts.push(format!("offline: {}", listed(&away)));
        }
        parts.extend(delivery(session));
    } else {
        parts.push(NOWHERE.to_owned());
    }
    if session.waiting() > 0 {
        parts.push(format!("… {} to send", session.waiting()));
    }
    if registry_lost {
        parts.push("no registry".to_owned());
    }
    let unread: Vec<_> = session
        .unread()
        .map(|(conversation, count)| format!("{} {count} unread", visible_line(&conversation.label(session.me()))))
        .collect();
    let more = unread.len().saturating_sub(UNREAD_SHOWN_MAX);
    let mut unread = unread[..unread.len() - more].join(", ");
    if more > 0 {
        unread += &format!(" and {more} more");
    }

    // What was not read yet comes first when there is too little room for all.
    let unread = if unread.is_empty() {
        unread
    } else {
        format!("[{unread}]")
    };
    let unread = width::cut(&unread, columns);
    let left = columns.saturating_sub(width::columns(&unread) + 4);
    let rest = width::cut(&parts.join(" · "), left);
    let gap = if rest.is_empty() || unread.is_empty() { "" } else { " " };
    format!("{}{gap}{}", paint.dim(&format!("── {rest}")), paint.bold(&unread))
}

/// `○ 0/2, not yet bob and carol`, `✓ 1/2, not yet carol`, `✓ 2/2`, `✓✓ 2/2`
fn delivery(session: &Session) -> Option<String> {
    let delivery = session.delivery()?;
    let (have, of) = delivery.stored();
    if of == 0 {
        return Some("kept; nobody else is here".to_owned());
    }
    if delivery.is_done() {
        return Some(format!("✓✓ {have}/{of}"));
    }
    if have == of {
        return Some(format!("✓ {have}/{of}"));
    }
    let lacking = session.others().filter(|(user, _)| !delivery.has(user));
    let lacking: Vec<_> = lacking.map(|(user, _)| visible_line(user.shown())).collect();
    let sign = if have == 0 { "○" } else { "✓" };
    Some(match lacking.as_slice() {
        [] => format!("{sign} {have}/{of}"),
        some => format!("{sign} {have}/{of}, not yet {}", listed(some)),
    })
}

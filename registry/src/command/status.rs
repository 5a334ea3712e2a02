//! `peerchat-registry status`: a cluster as one of its nodes knows it, and what each says of itself.

use std::{fmt::Write as _, time::Duration};

use peerchat_identity::Fingerprint;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    address::Address,
    cluster::{AskError, ClusterStatus, LedgerStatus, NodeState, ask_status},
};

/// How long a registry may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(3);

/// No registry has answered.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct NoAnswer(Vec<String>);

/// What was found out.
#[derive(Debug)]
struct Report {
    asked: String,
    fingerprint: Fingerprint,
    cluster: Option<ClusterStatus>,
    /// What the members say of themselves, in their order; none where one does not answer.
    words: Vec<Option<ClusterStatus>>,
    /// Those that were asked before, and are in no cluster.
    alone: Vec<String>,
}

/// Asks the first registry that answers, or where that is part of no cluster the first that is, and then its members.
pub(super) async fn run(registries: &[Address], is_json: bool) -> Result<String, NoAnswer> {
    let report = ask(registries).await?;
    Ok(if is_json { report.json() } else { report.table() })
}

async fn ask(registries: &[Address]) -> Result<Report, NoAnswer> {
    let mut failures = Vec::new();
    let mut alone: Vec<(String, Fingerprint)> = Vec::new();
    for asked in registries {
        match ask_in_time(asked.as_str()).await {
            Ok((fingerprint, Some(cluster))) => {
                return Ok(Report {
                    asked: asked.to_string(),
                    fingerprint,
                    words: ask_members(&cluster, fingerprint).await,
                    cluster: Some(cluster),
                    alone: alone.into_iter().map(|(address, _)| address).collect(),
                });
            }
            Ok((fingerprint, None)) => alone.push((asked.to_string(), fingerprint)),
            Err(failure) => failures.push(failure),
        }
    }
    let Some((asked, fingerprint)) = alone.into_iter().next() else {
        return Err(NoAnswer(failures));
    };
    Ok(Report {
        asked,
        fingerprint,
        cluster: None,
        words: Vec::new(),
        alone: Vec::new(),
    })
}

async fn ask_in_time(address: &str) -> Result<(Fingerprint, Option<ClusterStatus>), String> {
    match timeout(ANSWER_WAIT, ask_status(address)).await {
        Ok(answer) => answer.map_err(|error: AskError| error.to_string()),
        Err(_) => Err(format!("{address} does not answer within {} s", ANSWER_WAIT.as_secs())),
    }
}

/// All at once, since the dead ones take their time. Whoever shows another fingerprint is no member, whatever he says.
async fn ask_members(cluster: &ClusterStatus, fingerprint: Fingerprint) -> Vec<Option<ClusterStatus>> {
    let mut asking = JoinSet::new();
    for (place, member) in cluster.members.iter().enumerate() {
        let (id, address) = (member.id, member.address.clone());
        asking.spawn(async move {
            let answer = ask_in_time(address.as_str()).await.ok();
            let word = answer
                .filter(|(shown, _)| *shown == fingerprint)
                .and_then(|(_, word)| word);
            (place, word.filter(|word| word.id == id))
        });
    }
    let mut words = vec![None; cluster.members.len()];
    while let Some(asked) = asking.join_next().await {
        if let Ok((place, word)) = asked {
            words[place] = word;
        }
    }
    words
}

/// How many orders of the leader a node has not carried out yet; none where one of them does not say, or their tables are of two
/// leaderships.
fn lag(words: &[Option<ClusterStatus>], of: &ClusterStatus) -> Option<u64> {
    let own = of.table?;
    let leaders = words.iter().flatten().filter(|word| word.state == NodeState::Leader);
    let newest = leaders.filter_map(|leader| leader.table).max()?;
    // The leader was asked at another moment, so a follower may be ahead of what it said.
    (newest.term == own.term).then(|| newest.revision.saturating_sub(own.revision))
}

/// How many changes of accounts that are decided, as far as any node knows, this one has not made yet.
fn ledger_lag(words: &[Option<ClusterStatus>], of: &LedgerStatus) -> u64 {
    let ledgers = words.iter().flatten().filter_map(|word| word.ledger.as_ref());
    let decided = ledgers.map(|ledger| ledger.committed).max().unwrap_or_default();
    decided.saturating_sub(of.applied)
}

fn state_name(state: NodeState) -> &'static str {
    match state {
        NodeState::Follower => "follower",
        NodeState::Election => "election",
        NodeState::Leader => "leader",
    }
}

/// What a table or JSON shows where something is not known.
fn shown(value: Option<impl ToString>, unknown: &str) -> String {
    value.map_or_else(|| unknown.to_owned(), |value| value.to_string())
}

impl Report {
    fn table(&self) -> String {
        let Self { asked, fingerprint, .. } = self;
        let Some(cluster) = &self.cluster else {
            return format!("{asked} ({fingerprint}) is not part of a cluster");
        };
        let mut notes = String::new();
        let mut rows = vec![
            [
                "ID",
                "ADDRESS",
                "REACHABLE",
                "STATE",
                "LEADER",
                "TERM",
                "REVISION",
                "LAG",
                "ACCOUNTS",
                "BEHIND",
            ]
            .map(str::to_owned),
        ];
        for (member, word) in cluster.members.iter().zip(&self.words) {
            let word = word.as_ref();
            let ledger = word.and_then(|word| word.ledger.as_ref());
            rows.push([
                member.id.to_string(),
                member.address.to_string(),
                if member.is_reachable { "yes" } else { "no" }.to_owned(),
                shown(word.map(|word| state_name(word.state)), "?"),
                shown(word.and_then(|word| word.leader), "?"),
                shown(word.and_then(|word| word.term), "?"),
                shown(word.and_then(|word| word.table).map(|table| table.revision), "?"),
                shown(word.and_then(|word| lag(&self.words, word)), "?"),
                shown(ledger.map(|ledger| ledger.applied), "?"),
                shown(ledger.map(|ledger| ledger_lag(&self.words, ledger)), "?"),
            ]);
            if let Some(ledger) = ledger.filter(|ledger| !ledger.is_taking_part) {
                // Writing to a text never fails.
                let _ = write!(notes, "\n\nNode {} and accounts: {}", member.id, ledger.standing);
            }
        }
        for address in &self.alone {
            let _ = write!(
                notes,
                "\n\n{address} was asked as well and is not part of a cluster: another registry listens there, perhaps one that a peer hosts"
            );
        }
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
        let widths = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(width);
        let mut table = format!(
            "Node {} of {} at {asked} ({fingerprint})\n",
            cluster.id,
            cluster.members.len()
        );
        for row in &rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            table.push('\n');
            table.push_str(line.trim_end());
        }
        table + &notes
    }

    /// Addresses and fingerprints have no character that JSON would write otherwise.
    fn json(&self) -> String {
        let Self { asked, fingerprint, .. } = self;
        let mut json = format!("{{\"registry\":\"{asked}\",\"fingerprint\":\"{fingerprint}\",\"clustered\":");
        let Some(cluster) = &self.cluster else {
            return json + "false}";
        };
        let leader_and_term = |of: Option<&ClusterStatus>| {
            let leader = shown(of.and_then(|of| of.leader), "null");
            let term = shown(of.and_then(|of| of.term), "null");
            format!("\"leader\":{leader},\"term\":{term}")
        };
        // Writing to a text never fails.
        let _ = write!(
            json,
            "true,\"id\":{},{},\"members\":[",
            cluster.id,
            leader_and_term(Some(cluster))
        );
        for (place, (member, word)) in cluster.members.iter().zip(&self.words).enumerate() {
            let state = word.as_ref().map(|word| format!("\"{}\"", state_name(word.state)));
            let _ = write!(
                json,
                "{}{{\"id\":{},\"address\":\"{}\",\"reachable\":{},\"state\":{},{},\"revision\":{},\"lag\":{},\"ledger\":{}}}",
                if place > 0 { "," } else { "" },
                member.id,
                member.address,
                member.is_reachable,
                shown(state, "null"),
                leader_and_term(word.as_ref()),
                shown(
                    word.as_ref().and_then(|word| word.table).map(|table| table.revision),
                    "null"
                ),
                shown(word.as_ref().and_then(|word| lag(&self.words, word)), "null"),
                shown(
                    word.as_ref()
                        .and_then(|word| word.ledger.as_ref())
                        .map(|ledger| self.ledger_json(ledger)),
                    "null"
                ),
            );
        }
        json + "]}"
    }

    fn ledger_json(&self, ledger: &LedgerStatus) -> String {
        format!(
            "{{\"committed\":{},\"applied\":{},\"lag\":{},\"taking_part\":{},\"standing\":\"{}\"}}",
            ledger.committed,
            ledger.applied,
            ledger_lag(&self.words, ledger),
            ledger.is_taking_part,
            // It has no control characters.
            ledger.standing.replace('\\', "\\\\").replace('"', "\\\"")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{
        MemberStatus,
        table::order::Position,
        term::{NodeId, Term},
    };

    fn report() -> Report {
        let node = |id| NodeId::new(id).unwrap();
        let member = |id: u64, is_reachable| MemberStatus {
            id: node(id),
            address: Address::new(&format!("registry-{id}.example:10001"), None).unwrap(),
            is_reachable,
        };
        let status = ClusterStatus {
            id: node(1),
            state: NodeState::Follower,
            term: Some(302),
            leader: Some(node(2)),
            members: vec![member(1, true), member(2, true), member(3, false)],
            table: Some(Position {
                term: Term::new(302).unwrap(),
                revision: 41,
            }),
            ledger: Some(LedgerStatus {
                committed: 7,
                applied: 6,
                is_taking_part: false,
                standing: "no \"node\" leads".to_owned(),
            }),
        };
        let leader = ClusterStatus {
            id: node(2),
            state: NodeState::Leader,
            table: status.table.map(Position::next),
            ledger: Some(LedgerStatus {
                committed: 8,
                applied: 8,
                is_taking_part: true,
                standing: "leads".to_owned(),
            }),
            ..status.clone()
        };
        Report {
            asked: "127.0.0.1:10001".to_owned(),
            fingerprint: format!("SHA256:{}", "A".repeat(43)).parse().unwrap(),
            cluster: Some(status.clone()),
            words: vec![Some(status), Some(leader), None],
            alone: vec!["127.0.0.1:7".to_owned()],
        }
    }

    #[test]
    fn people_get_a_table() {
        let table = report().table();
        let lines: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "ID  ADDRESS                   REACHABLE  STATE     LEADER  TERM  REVISION  LAG  ACCOUNTS  BEHIND",
                "1   registry-1.example:10001  yes        follower  2       302   41        1    6         2",
                "2   registry-2.example:10001  yes        leader    2       302   42        0    8         0",
                "3   registry-3.example:10001  no         ?         ?       ?     ?         ?    ?         ?",
                "",
                "Node 1 and accounts: no \"node\" leads",
                "",
                "127.0.0.1:7 was asked as well and is not part of a cluster: another registry listens there, perhaps one that a peer hosts",
            ]
        );
    }

    #[test]
    fn scripts_get_json() {
        let json = report().json();
        assert!(
            json.starts_with("{\"registry\":\"127.0.0.1:10001\",\"fingerprint\":\"SHA256:"),
            "{json}"
        );
        let rest = "\"clustered\":true,\"id\":1,\"leader\":2,\"term\":302,\"members\":[\
            {\"id\":1,\"address\":\"registry-1.example:10001\",\"reachable\":true,\"state\":\"follower\",\"leader\":2,\"term\":302,\"revision\":41,\"lag\":1,\
            \"ledger\":{\"committed\":7,\"applied\":6,\"lag\":2,\"taking_part\":false,\"standing\":\"no \\\"node\\\" leads\"}},\
            {\"id\":2,\"address\":\"registry-2.example:10001\",\"reachable\":true,\"state\":\"leader\",\"leader\":2,\"term\":302,\"revision\":42,\"lag\":0,\
            \"ledger\":{\"committed\":8,\"applied\":8,\"lag\":0,\"taking_part\":true,\"standing\":\"leads\"}},\
            {\"id\":3,\"address\":\"registry-3.example:10001\",\"reachable\":false,\"state\":null,\"leader\":null,\"term\":null,\"revision\":null,\"lag\":null,\"ledger\":null}]}";
        assert!(json.ends_with(rest), "{json}");
    }

    #[test]
    fn a_registry_alone_says_so() {
        let alone = Report {
            cluster: None,
            words: Vec::new(),
            ..report()
        };
        assert!(alone.table().ends_with("is not part of a cluster"));
        assert!(alone.json().ends_with("\"clustered\":false}"));
    }
}

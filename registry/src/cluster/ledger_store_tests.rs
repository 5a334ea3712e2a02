//! The file of the ledger: crashes, damage, and being replaced.

use proptest::{collection::vec, prelude::*};

use super::{
    super::{
        ledger::{Entry, Place, Proposal, Ticket},
        term::Term,
    },
    *,
};

fn node(id: u64) -> NodeId {
    NodeId::new(id).unwrap()
}

fn place() -> impl Strategy<Value = Place> {
    (1..9u64, 1..9u64, 0..99u64).prop_map(|(round, id, index)| Place {
        term: Term::new(round * 100 + id).unwrap(),
        index,
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let proposal = (1..=99u64, any::<u64>(), any::<u64>(), vec(any::<u8>(), 0..40));
    let proposal = proposal.prop_map(|(id, life, ticket, change)| Proposal {
        node: node(id),
        life,
        ticket: Ticket(ticket),
        change: change.into(),
    });
    (place(), proptest::option::of(proposal)).prop_map(|(place, proposal)| Entry { place, proposal })
}

fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        place().prop_map(|place| Record::Promise(place.term)),
        Just(Record::Member),
        Just(Record::Forget),
        vec(entry(), 1..4).prop_map(Record::Append),
        (0..99u64).prop_map(Record::Cut),
        place().prop_map(Record::Drop),
        place().prop_map(Record::Reset),
    ]
}

/// What was kept, after each batch.
fn write(folder: &Path, batches: &[Vec<Record>]) -> Vec<(u64, Kept)> {
    let (mut store, mut kept) = LedgerStore::open(folder, node(3), [7; SALT]).unwrap();
    let mut states = vec![(store.size, kept.clone())];
    for batch in batches {
        store.keep(batch).unwrap();
        batch.iter().for_each(|record| kept.take(record));
        states.push((store.size, kept.clone()));
    }
    states
}

fn read(folder: &Path) -> Result<Kept, LedgerStoreError> {
    LedgerStore::open(folder, node(3), [8; SALT]).map(|(_, kept)| kept)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_crash_takes_nothing_back_that_was_synced(batches in vec(vec(record(), 1..5), 1..6), cut: prop::sample::Index) {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let states = write(&folder, &batches);
        let path = folder.join(LEDGER_FILE);
        let bytes = fs::read(&path).unwrap();
        let first = states[0].0 as usize;
        let end = first + cut.index(bytes.len() - first + 1);
        fs::write(&path, &bytes[..end]).unwrap();
        let (_, whole) = states.iter().rfind(|(size, _)| *size <= end as u64).unwrap();
        prop_assert_eq!(&read(&folder).unwrap(), whole);
        // It goes on after what was cut off.
        let (mut store, mut kept) = LedgerStore::open(&folder, node(3), [8; SALT]).unwrap();
        store.keep(&[Record::Member]).unwrap();
        kept.take(&Record::Member);
        prop_assert_eq!(read(&folder).unwrap(), kept);
    }

    #[test]
    fn damage_before_a_whole_frame_is_an_error(batches in vec(vec(record(), 1..5), 2..6), byte: prop::sample::Index, bit in 0..8) {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let states = write(&folder, &batches);
        let path = folder.join(LEDGER_FILE);
        let mut bytes = fs::read(&path).unwrap();
        let (first, last) = (states[0].0 as usize, states[states.len() - 2].0 as usize);
        bytes[first + byte.index(last - first)] ^= 1_u8 << bit;
        fs::write(&path, &bytes).unwrap();
        let is_damaged = matches!(read(&folder), Err(LedgerStoreError::Damaged { .. }));
        prop_assert!(is_damaged);
    }

    #[test]
    fn a_file_that_is_replaced_says_the_same(records in vec(record(), 0..20)) {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let (mut store, _) = LedgerStore::open(&folder, node(3), [7; SALT]).unwrap();
        store.keep(&records).unwrap();
        let kept = store.kept.clone();
        store.replace().unwrap();
        store.keep(&[Record::Member]).unwrap();
        let mut expected = kept;
        expected.take(&Record::Member);
        prop_assert_eq!(read(&folder).unwrap(), expected);
    }

    #[test]
    fn any_bytes_are_records_or_none(bytes in vec(0..9u8, 0..200)) {
        if let Some(records) = record::decode(&bytes) {
            let mut again = Vec::new();
            records.iter().for_each(|record| record::encode(record, &mut again));
            prop_assert_eq!(again, bytes);
        }
    }
}

#[test]
fn another_nodes_file_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    write(&folder, &[vec![Record::Member]]);
    let other = LedgerStore::open(&folder, node(2), [8; SALT]).unwrap_err();
    assert!(matches!(other, LedgerStoreError::OtherNode { .. }));
}

#[test]
fn a_large_file_is_replaced() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let (mut store, _) = LedgerStore::open(&folder, node(3), [7; SALT]).unwrap();
    let term = Term::new(103).unwrap();
    let records: Vec<_> = (0..400_000).map(|_| Record::Promise(term)).collect();
    for _ in 0..2 {
        store.keep(&records).unwrap();
    }
    assert!(store.size < REPLACED_FROM);
    assert_eq!(read(&folder).unwrap().promised, term);
}

#[test]
fn what_the_disk_refused_is_kept_when_it_takes_it() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let (mut store, _) = LedgerStore::open(&folder, node(3), [7; SALT]).unwrap();
    let term = |round: u64| Term::new(round * 100 + 3).unwrap();
    store.keep(&[Record::Promise(term(1))]).unwrap();
    // It can be read and not written, and its folder takes no other one.
    store.file = fs::File::open(&store.path).unwrap();
    let aside = parent.path().join("aside");
    fs::rename(&folder, &aside).unwrap();
    store.keep(&[Record::Promise(term(2))]).unwrap_err();
    let broken = store.keep(&[Record::Member]).unwrap_err();
    assert!(matches!(broken, LedgerStoreError::Broken { .. }));
    store.mend().unwrap_err();
    fs::rename(&aside, &folder).unwrap();
    assert_eq!(read(&folder).unwrap().promised, term(1));
    store.mend().unwrap();
    store.keep(&[Record::Member]).unwrap();
    let kept = read(&folder).unwrap();
    assert_eq!((kept.promised, kept.is_member), (term(2), true));
}

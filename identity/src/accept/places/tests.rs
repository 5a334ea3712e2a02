//! Who is let in, and who has to go for that.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(10);

fn from(n: u8) -> Source {
    Source::of(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)))
}

fn device(n: u8) -> DeviceBytes {
    [n; 32]
}

/// A table, and the time.
struct Table {
    places: Places,
    now: Instant,
}

impl Table {
    fn new(max: usize, per_device_max: usize) -> Self {
        Self {
            places: Places::new(max, per_device_max, TIMEOUT),
            now: Instant::now(),
        }
    }

    /// One more, a moment later; and whose place it has.
    fn enters(&mut self, source: Source) -> Result<(Id, Option<Id>), Full> {
        self.now += Duration::from_millis(1);
        self.places.enter(source, self.now)
    }

    fn lets_in(&mut self, source: Source) -> Id {
        let (id, closed) = self.enters(source).unwrap();
        assert_eq!(closed, None);
        id
    }
}

#[test]
fn an_address_of_version_6_stands_for_its_network() {
    let source = |address: &str| Source::of(address.parse().unwrap());
    assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
    assert_eq!(source("::ffff:192.0.2.7"), source("192.0.2.7"));
    assert_ne!(source("192.0.2.7"), source("192.0.2.8"));
}

#[test]
fn whoever_fills_all_places_gives_one_to_each_newcomer_and_nobody_else_does() {
    let mut table = Table::new(8, 8);
    let honest = table.lets_in(from(1));
    let hostile: Vec<Id> = (0..7).map(|_| table.lets_in(from(2))).collect();
    for n in 0..3 {
        let (_, closed) = table.enters(from(10 + n)).unwrap();
        assert_eq!(closed, Some(hostile[usize::from(n)]), "the one that was idle longest");
    }
    let (_, closed) = table.enters(from(2)).unwrap();
    assert_eq!(closed, Some(hostile[3]), "its own, once more");
    assert!(table.places.open.contains_key(&honest));
}

#[test]
fn a_newcomer_behind_the_same_address_gets_in_and_stays_when_it_is_kept() {
    let mut table = Table::new(4, 4);
    let hostile: Vec<Id> = (0..4).map(|_| table.lets_in(from(1))).collect();
    let (honest, closed) = table.enters(from(1)).unwrap();
    assert_eq!(closed, Some(hostile[0]));
    table.places.keep(honest);
    for _ in 0..20 {
        assert_ne!(table.enters(from(1)).unwrap().1, Some(honest));
    }
    // Once nothing goes on over it any more, it is one of many again.
    table.places.release(honest, table.now);
    let closed: Vec<_> = (0..4).map(|_| table.enters(from(1)).unwrap().1).collect();
    assert!(closed.contains(&Some(honest)));
}

#[test]
fn where_everything_is_kept_nobody_is_let_in() {
    let mut table = Table::new(3, 3);
    for n in 0..3 {
        let id = table.lets_in(from(n));
        table.places.keep(id);
    }
    assert_eq!(table.enters(from(9)), Err(Full));
}

#[test]
fn a_device_has_its_share_and_what_is_kept_of_it_stays() {
    let mut table = Table::new(100, 3);
    let mut ids = Vec::new();
    for n in 0..5 {
        // From wherever it comes.
        let id = table.lets_in(from(n));
        ids.push(id);
        let closed = table.places.is_of(id, device(1));
        if n == 0 {
            table.places.keep(id);
        }
        let expected = (n >= 3).then(|| ids[usize::from(n) - 2]);
        assert_eq!(
            closed, expected,
            "the one that was idle longest, and not the one that is kept"
        );
    }
    let other = table.lets_in(from(0));
    assert_eq!(
        table.places.is_of(other, device(2)),
        None,
        "another one's share is its own"
    );
    table.places.called(ids[3], table.now);
    let last = table.lets_in(from(0));
    assert_eq!(
        table.places.is_of(last, device(1)),
        Some(ids[4]),
        "the other one was asked something"
    );
}

#[test]
fn strangers_who_come_one_after_the_other_push_out_nobody_who_has_proved_to_be_a_device() {
    let mut table = Table::new(8, 8);
    let member = table.lets_in(from(1));
    table.places.is_of(member, device(1));
    for _ in 0..50 {
        table.enters(from(1)).unwrap();
    }
    assert!(
        table.places.open.contains_key(&member),
        "idle, older than all, and of the same address"
    );
    // Devices without number get no further: of these the first one goes.
    for n in 2..8 {
        let (id, _) = table.enters(from(1)).unwrap();
        table.places.is_of(id, device(n));
    }
    table.enters(from(1)).unwrap();
    assert!(!table.places.open.contains_key(&member));
}

#[test]
fn what_is_silent_for_too_long_goes_unless_its_device_is_known() {
    let mut table = Table::new(10, 10);
    let [silent, asks, beside, link] = [0; 4].map(|_| table.lets_in(from(1)));
    table.places.called(asks, table.now);
    for id in [beside, link] {
        table.places.is_of(id, device(1));
    }
    table.places.called(link, table.now);
    table.places.keep(link);
    assert_eq!(table.places.overdue(table.now + TIMEOUT / 2), []);
    assert_eq!(table.places.overdue(table.now + TIMEOUT), [silent]);
    assert!(table.places.any_silent());
    table.places.release(link, table.now);
    assert_eq!(table.places.overdue(table.now + TIMEOUT), [beside]);
    assert!(!table.places.any_silent());
    assert_eq!(table.places.overdue(table.now + TIMEOUT), []);
}

#[test]
fn who_comes_by_a_proxy_counts_where_that_says() {
    let mut table = Table::new(4, 4);
    let proxied: Vec<Id> = (0..3).map(|_| table.lets_in(from(1))).collect();
    for (id, n) in proxied.iter().zip(10..) {
        table.places.comes_from(*id, from(n));
    }
    let first = table.lets_in(from(20));
    table.places.comes_from(proxied[2], from(20));
    let (_, closed) = table.enters(from(30)).unwrap();
    assert_eq!(closed, Some(proxied[2]), "two of one source, and this one is the older");
    assert!(table.places.open.contains_key(&first));
}

#[derive(Debug, Clone)]
enum Step {
    Enter(u8),
    ComesFrom(usize, u8),
    IsOf(usize, u8),
    Called(usize),
    Keep(usize),
    Release(usize),
    Leave(usize),
    Overdue(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = || 0..12_usize;
    let step = prop_oneof![
        4 => (0..4_u8).prop_map(Step::Enter),
        1 => (which(), 0..4_u8).prop_map(|(which, from)| Step::ComesFrom(which, from)),
        2 => (which(), 0..3_u8).prop_map(|(which, device)| Step::IsOf(which, device)),
        2 => which().prop_map(Step::Called),
        2 => which().prop_map(Step::Keep),
        1 => which().prop_map(Step::Release),
        1 => which().prop_map(Step::Leave),
        1 => (0..12_000_u16).prop_map(Step::Overdue),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    /// Whatever comes: never are there more than there may be, none that is kept is closed, and who is closed is of the greatest crowd.
    #[test]
    fn no_place_that_is_kept_is_taken_away(steps in steps()) {
        const MAX: usize = 8;
        const SHARE: usize = 3;
        let mut table = Table::new(MAX, SHARE);
        let pick = |places: &Places, which: usize| places.open.keys().nth(which).copied();
        for step in steps {
            let kept: Vec<Id> = table.places.open.iter().filter(|(_, place)| place.kept > 0).map(|(id, _)| *id).collect();
            let was_open = table.places.open.len();
            let strangers = table.places.strange.count;
            // Those who may be closed for a newcomer: with each how many there are of its source, and the most of any.
            let crowd = |(id, place): (&Id, &Place)| {
                let idle = if place.device.is_some() { &table.places.proven } else { &table.places.strange };
                let most = idle.of.values().map(BTreeSet::len).max().unwrap_or_default();
                (*id, (place.device.is_some(), idle.of.get(&place.source).map_or(0, BTreeSet::len), most))
            };
            let crowds: BTreeMap<Id, (bool, usize, usize)> = table.places.open.iter().map(crowd).collect();
            let mut closed = Vec::new();
            match step {
                Step::Enter(n) => match table.enters(from(n)) {
                    Ok((_, gone)) => {
                        prop_assert_eq!(gone.is_some(), was_open == MAX);
                        if let Some(gone) = gone {
                            let (is_proven, crowd, most) = crowds[&gone];
                            prop_assert_eq!(crowd, most);
                            prop_assert!(!(is_proven && strangers > MAX / 2));
                        }
                        closed.extend(gone);
                    }
                    Err(Full) => prop_assert_eq!(kept.len(), MAX),
                },
                Step::Overdue(ms) => {
                    table.now += Duration::from_millis(ms.into());
                    closed.extend(table.places.overdue(table.now));
                }
                Step::ComesFrom(which, n) => {
                    if let Some(id) = pick(&table.places, which) { table.places.comes_from(id, from(n)); }
                }
                Step::IsOf(which, n) => {
                    // Proved once, with the handshake.
                    let is_new = |id: &Id| table.places.open[id].device.is_none() && !kept.contains(id);
                    if let Some(id) = pick(&table.places, which).filter(is_new) { closed.extend(table.places.is_of(id, device(n))); }
                }
                Step::Called(which) => {
                    if let Some(id) = pick(&table.places, which) { table.places.called(id, table.now); }
                }
                Step::Keep(which) => {
                    if let Some(id) = pick(&table.places, which) { table.places.keep(id); }
                }
                Step::Release(which) => {
                    if let Some(id) = pick(&table.places, which) { table.places.release(id, table.now); }
                }
                Step::Leave(which) => {
                    if let Some(id) = pick(&table.places, which) { table.places.leave(id); }
                }
            }
            let places = &table.places;
            prop_assert!(closed.iter().all(|id| !kept.contains(id) && !places.open.contains_key(id)));
            prop_assert!(places.open.len() <= MAX);
            // What is looked up says the same as the places themselves.
            let idle = places.open.iter().filter(|(_, place)| place.kept == 0);
            let idle: BTreeSet<_> = idle.map(|(id, place)| (place.source, place.active, *id)).collect();
            let classes = [&places.proven, &places.strange];
            let all = classes.iter().flat_map(|class| &class.of);
            let listed = all.flat_map(|(source, idle)| idle.iter().map(|(active, id)| (*source, *active, *id)));
            prop_assert_eq!(&idle, &listed.collect::<BTreeSet<_>>());
            prop_assert_eq!(idle.len(), places.proven.count + places.strange.count);
            for class in classes {
                prop_assert_eq!(class.crowds.len(), class.of.len());
            }
            for (device, its) in &places.devices {
                let count = places.open.values().filter(|place| place.device == Some(*device)).count();
                prop_assert_eq!(count, its.kept.len() + its.idle.len());
                prop_assert!(count <= SHARE.max(its.kept.len()));
            }
        }
    }
}

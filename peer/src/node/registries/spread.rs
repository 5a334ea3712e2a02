//! An order of a list that is another one for each device, so that each registry has its share of the peers.

use crate::node::types::DeviceId;

/// What the hash is for.
const CONTEXT: &str = "peerchat: the order in which a device uses registries";

/// The addresses in the order in which a device uses them: by the hash of both (rendezvous hashing). A device has the same order at each
/// start, all orders are equally common among devices, and an address that is added or taken away moves only those who come to it or
/// were there.
pub fn spread(addresses: &[String], device: DeviceId) -> Vec<String> {
    let key = blake3::derive_key(CONTEXT, &device.0);
    let mut addresses = addresses.to_vec();
    addresses.sort_by_cached_key(|address| *blake3::keyed_hash(&key, address.as_bytes()).as_bytes());
    addresses
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn device(n: u64) -> DeviceId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        DeviceId(id)
    }

    fn list(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("registry-{n}.example:10001")).collect()
    }

    #[test]
    fn all_orders_are_equally_common() {
        const DEVICES: u64 = 6_000;
        let mut orders = BTreeMap::<Vec<String>, u64>::new();
        for n in 0..DEVICES {
            *orders.entry(spread(&list(3), device(n))).or_default() += 1;
        }
        assert_eq!(orders.len(), 6);
        for (order, count) in orders {
            // 1,000 expected, with a standard deviation of 29.
            assert!((850..1_150).contains(&count), "{order:?}: {count}");
        }
    }

    #[test]
    fn who_is_elsewhere_does_not_move_when_one_is_taken_away_or_written_in_another_place() {
        let (all, mut turned) = (list(4), list(4));
        turned.reverse();
        for n in 0..500 {
            let order = spread(&all, device(n));
            assert_eq!(spread(&turned, device(n)), order);
            for gone in &all {
                let left: Vec<String> = all.iter().filter(|one| *one != gone).cloned().collect();
                let expected: Vec<String> = order.iter().filter(|one| *one != gone).cloned().collect();
                assert_eq!(spread(&left, device(n)), expected);
            }
        }
    }
}

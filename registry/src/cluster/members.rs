//! The list of a cluster's nodes, as the operator types it. Each node has the same one, but for addresses: two nodes may reach a third
//! one at different ones.

use std::{collections::BTreeMap, str::FromStr};

use super::term::{NoNodeId, NodeId};
use crate::address::{Address, AddressError};

/// The most nodes of a cluster. Each talks with each, and a name waits for a majority: more nodes make nothing faster. A site that needs
/// more registries has them share their accounts and leases.
pub const MEMBERS_MAX: usize = 9;

/// The nodes of a cluster, and where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members(BTreeMap<NodeId, Address>);

/// A list that is none of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembersError {
    /// An entry has another form.
    #[error("`{0}` is not ID=HOST:PORT; a list is 1=HOST:PORT,2=HOST:PORT,3=HOST:PORT")]
    Malformed(String),
    /// An entry has no id.
    #[error("`{entry}`: {source}")]
    Id {
        /// The entry.
        entry: String,
        /// What is wrong.
        source: NoNodeId,
    },
    /// An entry has no address that could be dialled.
    #[error("`{entry}`: {source}")]
    Address {
        /// The entry.
        entry: String,
        /// What is wrong.
        source: AddressError,
    },
    /// An entry says "any host".
    #[error("`{0}` has no host: name the one by which the other nodes reach it, and listen on all with --listen")]
    AnyHost(String),
    /// Two nodes have one id.
    #[error("two nodes have the id {0}")]
    DoubledId(NodeId),
    /// Two nodes are at one address.
    #[error("the nodes {first} and {second} have the same address, {address}")]
    DoubledAddress {
        /// One of them.
        first: NodeId,
        /// The other one.
        second: NodeId,
        /// Where both are.
        address: Address,
    },
    /// A cluster of one.
    #[error("a cluster has at least two nodes, better three; a registry alone needs no list")]
    OnlyOne,
    /// More than [`MEMBERS_MAX`].
    #[error("a cluster has at most {MEMBERS_MAX} nodes; this list has {0}")]
    TooMany(usize),
}

impl FromStr for Members {
    type Err = MembersError;

    fn from_str(list: &str) -> Result<Self, MembersError> {
        let entries: Vec<_> = list.split(',').map(str::trim).collect();
        if entries.len() > MEMBERS_MAX {
            return Err(MembersError::TooMany(entries.len()));
        }
        let mut members = BTreeMap::<NodeId, Address>::new();
        for entry in entries {
            let (id, address) = member(entry)?;
            if members.contains_key(&id) {
                return Err(MembersError::DoubledId(id));
            }
            if let Some((first, _)) = members.iter().find(|(_, known)| **known == address) {
                let (first, second) = (*first, id);
                return Err(MembersError::DoubledAddress { first, second, address });
            }
            members.insert(id, address);
        }
        if members.len() < 2 {
            return Err(MembersError::OnlyOne);
        }
        Ok(Self(members))
    }
}

fn member(entry: &str) -> Result<(NodeId, Address), MembersError> {
    let (id, address) = entry
        .split_once('=')
        .ok_or_else(|| MembersError::Malformed(entry.to_owned()))?;
    let id = id.parse().map_err(|source| MembersError::Id {
        entry: entry.to_owned(),
        source,
    })?;
    let address = Address::new(address, None).map_err(|source| match source {
        AddressError::HostUnknown => MembersError::AnyHost(entry.to_owned()),
        source => MembersError::Address {
            entry: entry.to_owned(),
            source,
        },
    })?;
    Ok((id, address))
}

impl Members {
    /// Where a node is.
    pub fn address(&self, id: NodeId) -> Option<&Address> {
        self.0.get(&id)
    }

    /// All nodes, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Address)> {
        self.0.iter().map(|(id, address)| (*id, address))
    }

    /// The ids of all nodes, in order.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> {
        self.0.keys().copied()
    }

    /// The same as numbers, as nodes show each other their lists.
    pub fn numbers(&self) -> Vec<u32> {
        self.ids().map(|id| id.number().into()).collect()
    }

    /// Whether a majority is as many as with one node less, so that the last one makes the cluster no safer.
    pub fn is_even(&self) -> bool {
        self.0.len().is_multiple_of(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(list: &str) -> String {
        list.parse::<Members>().unwrap_err().to_string()
    }

    #[test]
    fn a_list_is_read_whatever_its_order() {
        let list = "3=[2001:db8::3]:10001, 1=Registry-1.example:10001,2=192.0.2.2:10001";
        let members: Members = list.parse().unwrap();
        let found: Vec<_> = members.iter().map(|(id, at)| format!("{id}={at}")).collect();
        let expected = [
            "1=registry-1.example:10001",
            "2=192.0.2.2:10001",
            "3=[2001:db8::3]:10001",
        ];
        assert_eq!(found, expected);
        assert!(!members.is_even());
        assert!("1=a:1,2=b:1".parse::<Members>().unwrap().is_even());
    }

    #[test]
    fn a_wrong_list_says_what_is_wrong() {
        for (list, expected) in [
            ("", "`` is not ID=HOST:PORT"),
            ("1=a:1,,2=b:1", "`` is not ID=HOST:PORT"),
            ("a:1,b:1", "`a:1` is not ID=HOST:PORT"),
            ("0=a:1,2=b:1", "`0=a:1`: the id of a node is a number from 1 to 99"),
            ("one=a:1,2=b:1", "from 1 to 99"),
            ("1=a,2=b:1", "`1=a`: an address is HOST:PORT"),
            ("1=a:0,2=b:1", "port from 1 to 65535"),
            ("1=a:70000,2=b:1", "an address is HOST:PORT"),
            ("1=300.0.0.1:1,2=b:1", "an address is HOST:PORT"),
            ("1=0.0.0.0:1,2=b:1", "`1=0.0.0.0:1` has no host"),
            ("1=a:1,1=b:1", "two nodes have the id 1"),
            ("1=a:1,2=A:1", "the nodes 1 and 2 have the same address, a:1"),
            ("1=a:1", "at least two nodes"),
            (
                "1=a:1,2=a:2,3=a:3,4=a:4,5=a:5,6=a:6,7=a:7,8=a:8,9=a:9,10=a:10",
                "at most 9 nodes; this list has 10",
            ),
        ] {
            let error = refused(list);
            assert!(error.contains(expected), "{list}: {error}");
        }
    }
}

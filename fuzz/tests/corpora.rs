//! All targets over their corpora, and over as many changed copies of each input as `FUZZ_COPIES` says (50).

use std::{env, fs, path::Path};

use peerchat_fuzz::{Target, dice::Dice, targets::ALL};

#[test]
fn every_target_holds_for_its_corpus_and_for_changed_copies() {
    let copies = env::var("FUZZ_COPIES")
        .ok()
        .and_then(|copies| copies.parse().ok())
        .unwrap_or(50);
    let only = env::var("FUZZ_TARGET").ok();
    let mut failed = Vec::new();
    for target in ALL
        .iter()
        .filter(|target| only.as_ref().is_none_or(|only| only == target.name))
    {
        let inputs = inputs(target);
        assert!(!inputs.is_empty(), "{} has something to begin with", target.name);
        failed.extend(
            inputs
                .iter()
                .find_map(|(name, input)| fails(target, name, input, copies)),
        );
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Says on what a target fails: an input or a changed copy of it.
fn fails(target: &Target, name: &str, input: &[u8], copies: usize) -> Option<String> {
    let mut random = fastrand::Rng::with_seed(input.len() as u64);
    let changed = std::iter::repeat_with(|| {
        let edits: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(40).collect();
        let mut changed = input.to_vec();
        Dice::new(&edits).edit(&mut changed);
        changed
    });
    let mut all = std::iter::once(input.to_vec()).chain(changed.take(copies));
    let bad = all.find(|input| std::panic::catch_unwind(|| (target.check)(input)).is_err())?;
    Some(format!("{} fails on {name} or a copy of it: {bad:02x?}", target.name))
}

/// What the encoders make, and what is in the tree.
fn inputs(target: &Target) -> Vec<(String, Vec<u8>)> {
    let seeds = (target.seeds)().into_iter().enumerate();
    let mut inputs: Vec<_> = seeds.map(|(nth, seed)| (format!("seed {nth}"), seed)).collect();
    let folder = Path::new("corpus").join(target.name);
    for file in fs::read_dir(folder).into_iter().flatten() {
        let path = file.expect("the folder can be read").path();
        inputs.push((
            path.display().to_string(),
            fs::read(&path).expect("the file can be read"),
        ));
    }
    inputs
}

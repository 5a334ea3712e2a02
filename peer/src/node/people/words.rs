//! The words of a comparison: a list of 256, so that each stands for a byte.
//!
//! They are English words of everyday things that most people can say and spell, chosen not to sound alike. No two have the same first
//! four letters, so the beginning of one tells it when a line is bad.

/// The list, in the order of the alphabet. Both sides must have the same one: a word that changes changes what people compare.
#[rustfmt::skip]
pub const WORDS: [&str; 256] = [
    "acorn", "album", "alpaca", "anchor", "apron", "arrow", "artist", "attic",
    "autumn", "avocado", "badger", "bakery", "balcony", "bamboo", "banjo", "barrel",
    "beacon", "beetle", "bicycle", "biscuit", "blanket", "blossom", "bonfire", "bottle",
    "bramble", "bridge", "bronze", "bubble", "bucket", "cabbage", "cactus", "camel",
    "candle", "captain", "carpet", "castle", "cement", "cherry", "chimney", "cinema",
    "circus", "clover", "coconut", "coffee", "comet", "copper", "cotton", "cousin",
    "cradle", "cricket", "crystal", "curtain", "daisy", "dancer", "desert", "diamond",
    "dinner", "doctor", "dolphin", "dragon", "drawer", "duchess", "dwarf", "eagle",
    "easel", "echo", "elbow", "elephant", "emerald", "engine", "envelope", "evening",
    "fabric", "falcon", "farmer", "feather", "fiddle", "finger", "flamingo", "flute",
    "forest", "fossil", "fountain", "galaxy", "garden", "garlic", "gazelle", "ginger",
    "giraffe", "glacier", "goblet", "gorilla", "granite", "guitar", "hammock", "harvest",
    "hedgehog", "helmet", "hockey", "honey", "horizon", "horse", "hotel", "hunter",
    "igloo", "insect", "invoice", "island", "ivory", "jacket", "jaguar", "jasmine",
    "jelly", "jigsaw", "journal", "juggler", "jungle", "kangaroo", "kayak", "kettle",
    "keyboard", "kingdom", "knuckle", "koala", "ladder", "lagoon", "lantern", "laundry",
    "lavender", "lemon", "leopard", "library", "lizard", "lobster", "magnet", "mammoth",
    "mango", "marble", "meadow", "melody", "mermaid", "mirror", "monkey", "mosaic",
    "mountain", "muffin", "museum", "napkin", "needle", "nephew", "night", "novel",
    "nugget", "nutmeg", "oasis", "ocean", "octopus", "olive", "onion", "opera",
    "orchard", "ostrich", "otter", "oyster", "palace", "pancake", "panther", "parrot",
    "pebble", "pelican", "pepper", "piano", "pigeon", "pillow", "pirate", "planet",
    "pocket", "potato", "pudding", "pumpkin", "puzzle", "pyramid", "quartz", "queen",
    "quilt", "rabbit", "radish", "rainbow", "raven", "ribbon", "river", "robin",
    "rooster", "rubber", "saddle", "salmon", "sapphire", "satchel", "scarf", "scissors",
    "seagull", "shadow", "shepherd", "silver", "skeleton", "snail", "soldier", "spider",
    "squirrel", "statue", "sugar", "summer", "sunset", "syrup", "tablet", "teapot",
    "temple", "thistle", "thunder", "ticket", "tiger", "torch", "tractor", "treasure",
    "trumpet", "tulip", "tunnel", "turnip", "twilight", "umbrella", "uncle", "unicorn",
    "valley", "vampire", "vanilla", "velvet", "village", "vinegar", "violin", "volcano",
    "waffle", "walnut", "wardrobe", "water", "weaver", "whale", "window", "winter",
    "wolf", "wombat", "yacht", "yellow", "yogurt", "zebra", "zigzag", "zipper",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn words_are_plain_and_differ_in_their_first_four_letters() {
        assert!(WORDS.is_sorted());
        for word in WORDS {
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
            assert!(
                (4..=9).contains(&word.len()),
                "{word} is hard to say or to tell from others"
            );
        }
        let starts: BTreeSet<&str> = WORDS.iter().map(|word| &word[..4]).collect();
        assert_eq!(starts.len(), WORDS.len());
    }
}

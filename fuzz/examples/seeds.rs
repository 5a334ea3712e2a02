//! Writes the inputs to begin with into `corpus/`: `cargo run --no-default-features --example seeds`, in this folder.

use std::{fs, io, path::Path};

use peerchat_fuzz::targets::ALL;

fn main() -> io::Result<()> {
    for target in ALL {
        let folder = Path::new("corpus").join(target.name);
        fs::create_dir_all(&folder)?;
        for (nth, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{nth:02}")), seed)?;
        }
    }
    Ok(())
}

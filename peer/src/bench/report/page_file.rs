//! The file of the page.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::PathBuf,
};

use crate::bench::BenchError;

/// A file that can be written: looked at before anything is measured, and put in its place when all is.
#[derive(Debug)]
pub struct PageFile {
    path: PathBuf,
    draft: PathBuf,
    file: File,
}

impl PageFile {
    /// Makes a draft beside the place where the page shall be.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub fn prepare(path: PathBuf) -> Result<Self, BenchError> {
        let failed = |source| BenchError::Report {
            path: path.clone(),
            source,
        };
        if path.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        let name = path
            .file_name()
            .ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
        let mut draft = name.to_owned();
        draft.push(format!(".{}.draft", std::process::id()));
        let draft = path.with_file_name(draft);
        let file = File::create(&draft).map_err(failed)?;
        Ok(Self { path, draft, file })
    }

    /// Writes the page.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write(mut self, text: &str) -> Result<(), BenchError> {
        let written = self.file.write_all(text.as_bytes());
        let written = written.and_then(|()| fs::rename(&self.draft, &self.path));
        written.map_err(|source| BenchError::Report {
            path: self.path.clone(),
            source,
        })
    }
}

impl Drop for PageFile {
    fn drop(&mut self) {
        // It is gone where the page was written.
        let _gone = fs::remove_file(&self.draft);
    }
}

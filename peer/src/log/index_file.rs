//! The file `index`: read one record after the other at open, and put right.

use std::path::Path;

use super::{
    INDEX_FILE, Position,
    disk::{Disk, DiskFile, IoError, beside},
    format::{
        HEADER_BYTES, Header, Kind, Life, RECORD_BYTES, Record, decode_header, decode_record, encode_header,
        encode_record,
    },
    index::Index,
};

/// How many records are in memory at once.
const RECORDS_AT_ONCE: usize = 4_096;

/// The index as the disk has it.
pub(super) struct IndexFile<F> {
    pub(super) file: F,
    pub(super) life: Life,
    /// How many records there is room for in its length; some may be bad.
    pub(super) records: u64,
}

/// The index in `folder`; none where there is no file with a good header.
pub(super) fn open<D: Disk>(disk: &D, folder: &Path) -> Result<Option<IndexFile<D::File>>, IoError> {
    let Some(file) = disk.open(&folder.join(INDEX_FILE))? else {
        return Ok(None);
    };
    let mut header = [0; HEADER_BYTES];
    let read = file.read_at(0, &mut header)?;
    let Header::Good(life) = decode_header(Kind::Index, &header[..read]) else {
        return Ok(None);
    };
    let records = file.len()?.saturating_sub(HEADER_BYTES as u64) / RECORD_BYTES as u64;
    Ok(Some(IndexFile { file, life, records }))
}

/// The good records from the first on, one after the other.
pub(super) struct Records<'a, F> {
    index: Option<&'a IndexFile<F>>,
    next: u32,
    chunk: Vec<u8>,
    chunk_start: u32,
}

impl<'a, F: DiskFile> Records<'a, F> {
    /// Those of `index`, or none at all.
    pub(super) fn new(index: Option<&'a IndexFile<F>>) -> Self {
        Self {
            index,
            next: 0,
            chunk: Vec::new(),
            chunk_start: 0,
        }
    }

    /// The record that comes next; none from the first bad one on.
    pub(super) fn peek(&mut self) -> Result<Option<Record>, IoError> {
        let Some(index) = self.index else {
            return Ok(None);
        };
        let mut at = (self.next - self.chunk_start) as usize * RECORD_BYTES;
        if at >= self.chunk.len() {
            self.chunk.resize(RECORDS_AT_ONCE * RECORD_BYTES, 0);
            let offset = HEADER_BYTES as u64 + u64::from(self.next) * RECORD_BYTES as u64;
            let read = index.file.read_at(offset, &mut self.chunk)?;
            self.chunk.truncate(read);
            self.chunk_start = self.next;
            at = 0;
        }
        Ok(decode_record(index.life, Position(self.next), &self.chunk[at..]))
    }

    /// Goes on to the next record.
    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    /// How many more good ones there are. Goes to their end.
    pub(super) fn count_rest(&mut self) -> Result<u64, IoError> {
        let mut count = 0;
        while self.peek()?.is_some() {
            self.advance();
            count += 1;
        }
        Ok(count)
    }
}

/// Completes a file of which the first `good` records are right.
pub(super) fn complete<F: DiskFile>(on_disk: IndexFile<F>, good: u32, index: &Index) -> Result<F, IoError> {
    let end = HEADER_BYTES as u64 + u64::from(good) * RECORD_BYTES as u64;
    if on_disk.file.len()? > end {
        on_disk.file.truncate(end)?;
    }
    append(&on_disk.file, on_disk.life, good, index)?;
    Ok(on_disk.file)
}

/// Writes the whole file anew, durably: what the old one said must never come back.
pub(super) fn rewrite<D: Disk>(disk: &D, folder: &Path, life: Life, index: &Index) -> Result<D::File, IoError> {
    let path = folder.join(INDEX_FILE);
    let next = beside(&path, ".tmp");
    let file = disk.create(&next)?;
    file.write_at(0, &encode_header(Kind::Index, life))?;
    append(&file, life, 0, index)?;
    file.sync()?;
    disk.rename(&next, &path)?;
    disk.sync_folder(folder)?;
    // Under the name that it has now.
    let gone = || IoError::new(&path, "open", std::io::ErrorKind::NotFound.into());
    disk.open(&path)?.ok_or_else(gone)
}

fn append<F: DiskFile>(file: &F, life: Life, from: u32, index: &Index) -> Result<(), IoError> {
    let mut bytes = Vec::new();
    for start in (from..index.len()).step_by(RECORDS_AT_ONCE) {
        let end = index.len().min(start.saturating_add(RECORDS_AT_ONCE as u32));
        bytes.clear();
        for position in (start..end).map(Position) {
            encode_record(life, position, index.record(position), &mut bytes);
        }
        file.write_loose_at(HEADER_BYTES as u64 + u64::from(start) * RECORD_BYTES as u64, &bytes)?;
    }
    Ok(())
}

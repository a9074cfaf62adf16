//! Committed offsets: a map in memory, and a file of JSON lines that says how it came about.
//!
//! The file is written anew when most of it is history. A line that a crash cut off is the last one, and nobody was
//! told that it was written.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

const FILE: &str = "group-offsets.jsonl";
/// Lines of history that are kept before the file is written anew.
const HISTORY_LINES_MAX: usize = 50_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommittedOffset {
    pub offset: i64,
    pub metadata: String,
}

/// One line: an offset, or with `None` that it is gone.
#[derive(Serialize, Deserialize)]
struct Line {
    group: String,
    topic: String,
    partition: i32,
    committed: Option<CommittedOffset>,
}

type Key = (String, String, i32);

pub struct Offsets {
    path: PathBuf,
    file: File,
    size: u64,
    lines: usize,
    is_dirty: bool,
    map: BTreeMap<Key, CommittedOffset>,
}

impl Offsets {
    pub fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        let mut map = BTreeMap::new();
        let (mut size, mut lines) = (0, 0);
        let mut reader = BufReader::new(&file);
        let mut text = vec![];
        loop {
            text.clear();
            let read = reader.read_until(b'\n', &mut text)?;
            if read == 0 || text.last() != Some(&b'\n') {
                break;
            }
            let Ok(line) = serde_json::from_slice::<Line>(&text) else { break };
            apply(&mut map, line);
            size += read as u64;
            lines += 1;
        }
        // A torn last line must not be continued by the next one.
        file.set_len(size)?;
        Ok(Self { path, file, size, lines, is_dirty: false, map })
    }

    pub fn get(&self, group: &str, topic: &str, partition: i32) -> Option<CommittedOffset> {
        self.map.get(&(group.to_owned(), topic.to_owned(), partition)).cloned()
    }

    pub fn of(&self, group: &str) -> Vec<(String, i32, CommittedOffset)> {
        let from = (group.to_owned(), String::new(), i32::MIN);
        self.map
            .range(from..)
            .take_while(|((known, _, _), _)| known == group)
            .map(|((_, topic, partition), committed)| (topic.clone(), *partition, committed.clone()))
            .collect()
    }

    pub fn knows(&self, group: &str) -> bool {
        !self.of(group).is_empty()
    }

    pub fn groups(&self) -> Vec<String> {
        let mut groups: Vec<String> = self.map.keys().map(|(group, _, _)| group.clone()).collect();
        groups.dedup();
        groups
    }

    pub fn commit(&mut self, group: &str, offsets: Vec<(String, i32, CommittedOffset)>) -> io::Result<()> {
        let lines = offsets
            .into_iter()
            .map(|(topic, partition, committed)| Line {
                group: group.to_owned(),
                topic,
                partition,
                committed: Some(committed),
            })
            .collect();
        self.write(lines)
    }

    pub fn delete(&mut self, group: &str, gone: &[(String, i32)]) -> io::Result<()> {
        let gone =
            gone.iter().map(|(topic, partition)| (group.to_owned(), topic.clone(), *partition)).collect();
        self.remove(gone)
    }

    pub fn delete_group(&mut self, group: &str) -> io::Result<()> {
        let gone = self.map.keys().filter(|(known, _, _)| known == group).cloned().collect();
        self.remove(gone)
    }

    pub fn delete_topic(&mut self, topic: &str) -> io::Result<()> {
        let gone = self.map.keys().filter(|(_, known, _)| known == topic).cloned().collect();
        self.remove(gone)
    }

    fn remove(&mut self, gone: Vec<Key>) -> io::Result<()> {
        let lines = gone
            .into_iter()
            .map(|(group, topic, partition)| Line { group, topic, partition, committed: None })
            .collect();
        self.write(lines)
    }

    fn write(&mut self, lines: Vec<Line>) -> io::Result<()> {
        let mut text = vec![];
        for line in &lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        use std::os::unix::fs::FileExt as _;
        if let Err(error) = self.file.write_all_at(&text, self.size) {
            self.file.set_len(self.size)?;
            return Err(error);
        }
        self.size += text.len() as u64;
        self.lines += lines.len();
        self.is_dirty = true;
        for line in lines {
            apply(&mut self.map, line);
        }
        if self.lines > self.map.len() + HISTORY_LINES_MAX {
            self.rewrite()?;
        }
        Ok(())
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let temporary = self.path.with_extension("new");
        let mut file =
            OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&temporary)?;
        let mut text = vec![];
        for ((group, topic, partition), committed) in &self.map {
            let line = Line {
                group: group.clone(),
                topic: topic.clone(),
                partition: *partition,
                committed: Some(committed.clone()),
            };
            serde_json::to_writer(&mut text, &line)?;
            text.push(b'\n');
        }
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(temporary, &self.path)?;
        (self.file, self.size, self.lines, self.is_dirty) = (file, text.len() as u64, self.map.len(), false);
        Ok(())
    }

    pub fn sync(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_dirty) { self.file.sync_data() } else { Ok(()) }
    }

    pub fn close(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }
}

fn apply(map: &mut BTreeMap<Key, CommittedOffset>, line: Line) {
    let key = (line.group, line.topic, line.partition);
    match line.committed {
        Some(committed) => drop(map.insert(key, committed)),
        None => drop(map.remove(&key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(offset: i64) -> CommittedOffset {
        CommittedOffset { offset, metadata: String::new() }
    }

    #[test]
    fn offsets_survive_and_a_torn_line_does_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        let mut offsets = Offsets::open(dir.path()).unwrap();
        offsets
            .commit("g", vec![("t".to_owned(), 0, committed(5)), ("t".to_owned(), 1, committed(6))])
            .unwrap();
        offsets.commit("g", vec![("t".to_owned(), 0, committed(7))]).unwrap();
        offsets.delete("g", &[("t".to_owned(), 1)]).unwrap();
        drop(offsets);
        let mut file = OpenOptions::new().append(true).open(dir.path().join(FILE)).unwrap();
        file.write_all(b"{\"group\":\"g\",\"topic\":\"t\",\"part").unwrap();
        drop(file);
        let mut offsets = Offsets::open(dir.path()).unwrap();
        assert_eq!(offsets.of("g"), [("t".to_owned(), 0, committed(7))]);
        offsets.commit("h", vec![("t".to_owned(), 0, committed(1))]).unwrap();
        drop(offsets);
        let offsets = Offsets::open(dir.path()).unwrap();
        assert_eq!((offsets.groups().len(), offsets.get("h", "t", 0)), (2, Some(committed(1))));
    }

    #[test]
    fn a_deleted_topic_takes_its_offsets_along() {
        let dir = tempfile::tempdir().unwrap();
        let mut offsets = Offsets::open(dir.path()).unwrap();
        offsets
            .commit("g", vec![("t".to_owned(), 0, committed(5)), ("u".to_owned(), 0, committed(6))])
            .unwrap();
        offsets.delete_topic("t").unwrap();
        assert_eq!(offsets.of("g").len(), 1);
    }
}

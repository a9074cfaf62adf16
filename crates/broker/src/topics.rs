//! Names to partitions, and what a topic was created with; on disk one folder per topic.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::log::Shutdown;
use crate::partition::Partition;
use crate::settings::PARTITIONS_MAX;

/// Longest name: Kafka's limit.
const NAME_LEN_MAX: usize = 249;
const TOPIC_FILE: &str = "topic.json";

pub struct Topic {
    pub name: String,
    pub id: Uuid,
    pub config: RwLock<BTreeMap<String, String>>,
    partitions: RwLock<Vec<Arc<Partition>>>,
    dir: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    id: Uuid,
    partitions: usize,
    config: BTreeMap<String, String>,
}

#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    #[error("topic {0} already exists")]
    Exists(String),
    #[error("topic {0} does not exist")]
    Unknown(String),
    #[error("\"{0}\" is not a topic name: letters, digits, '.', '_' and '-', at most 249 of them")]
    Name(String),
    #[error("{0} is not a number of partitions")]
    Partitions(i32),
    #[error("this broker keeps one replica, not {0}")]
    Replicas(i16),
    #[error("topic cannot be written: {0}")]
    Io(#[from] io::Error),
}

/// All topics of the broker.
pub struct Topics {
    dir: PathBuf,
    topics: RwLock<BTreeMap<String, Arc<Topic>>>,
    /// One change at a time.
    changes: Mutex<()>,
}

impl Topic {
    pub fn partition(&self, index: i32) -> Option<Arc<Partition>> {
        self.partitions.read().get(usize::try_from(index).ok()?).cloned()
    }

    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().clone()
    }

    fn open(dir: PathBuf, shutdown: Shutdown) -> io::Result<Self> {
        let stored: Stored = serde_json::from_slice(&fs::read(dir.join(TOPIC_FILE))?)?;
        let mut partitions = vec![];
        for index in 0..stored.partitions {
            let partition_dir = dir.join(index.to_string());
            fs::create_dir_all(&partition_dir)?;
            partitions.push(Arc::new(Partition::open(&partition_dir, shutdown)?));
        }
        Ok(Self {
            name: stored.name,
            id: stored.id,
            config: RwLock::new(stored.config),
            partitions: RwLock::new(partitions),
            dir,
        })
    }

    fn save(dir: &Path, stored: &Stored) -> io::Result<()> {
        let temporary = dir.join(format!("{TOPIC_FILE}.new"));
        let mut file = fs::File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(stored)?)?;
        file.sync_all()?;
        fs::rename(temporary, dir.join(TOPIC_FILE))?;
        fs::File::open(dir)?.sync_all()
    }
}

impl Topics {
    pub fn open(data_dir: &Path, shutdown: Shutdown) -> io::Result<Self> {
        let dir = data_dir.join("topics");
        fs::create_dir_all(&dir)?;
        let removed = data_dir.join("removed");
        if removed.exists() {
            fs::remove_dir_all(&removed)?;
        }
        let mut topics = BTreeMap::new();
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if !entry.path().join(TOPIC_FILE).exists() {
                // A creation that did not end: nobody was told that the topic exists.
                fs::remove_dir_all(entry.path())?;
                continue;
            }
            let topic = Topic::open(entry.path(), shutdown)?;
            topics.insert(topic.name.clone(), Arc::new(topic));
        }
        Ok(Self { dir, topics: RwLock::new(topics), changes: Mutex::new(()) })
    }

    pub fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().get(name).cloned()
    }

    pub fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.topics.read().values().find(|topic| topic.id == id).cloned()
    }

    pub fn all(&self) -> Vec<Arc<Topic>> {
        self.topics.read().values().cloned().collect()
    }

    /// Whether a topic could be created so.
    pub fn check(&self, name: &str, partitions: i32, replicas: i16) -> Result<(), TopicError> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty()
            || name.len() > NAME_LEN_MAX
            || name == "."
            || name == ".."
            || !name.chars().all(legal)
        {
            return Err(TopicError::Name(name.to_owned()));
        }
        if self.get(name).is_some() {
            return Err(TopicError::Exists(name.to_owned()));
        }
        if !(1..=PARTITIONS_MAX).contains(&partitions) {
            return Err(TopicError::Partitions(partitions));
        }
        // One node cannot have more than one replica; -1 is "the default". Connect's own defaults ask for three:
        // that is granted with the one there is, as a single-node Kafka would have to be told to.
        if replicas == 0 || replicas < -1 {
            return Err(TopicError::Replicas(replicas));
        }
        Ok(())
    }

    pub fn create(
        &self,
        name: &str,
        partitions: i32,
        replicas: i16,
        config: BTreeMap<String, String>,
    ) -> Result<Arc<Topic>, TopicError> {
        let _change = self.changes.lock();
        self.check(name, partitions, replicas)?;
        let dir = self.dir.join(name);
        fs::create_dir_all(&dir)?;
        let stored =
            Stored { name: name.to_owned(), id: Uuid::new_v4(), partitions: partitions as usize, config };
        for index in 0..stored.partitions {
            fs::create_dir_all(dir.join(index.to_string()))?;
        }
        // The description comes last: a folder without one is not a topic.
        Topic::save(&dir, &stored)?;
        let topic = Arc::new(Topic::open(dir, Shutdown::Clean)?);
        self.topics.write().insert(name.to_owned(), topic.clone());
        Ok(topic)
    }

    /// Gives a topic more partitions.
    pub fn grow(&self, name: &str, count: i32) -> Result<(), TopicError> {
        let _change = self.changes.lock();
        let topic = self.get(name).ok_or_else(|| TopicError::Unknown(name.to_owned()))?;
        let mut partitions = topic.partitions();
        if count <= partitions.len() as i32 || count > PARTITIONS_MAX {
            return Err(TopicError::Partitions(count));
        }
        for index in partitions.len()..count as usize {
            let dir = topic.dir.join(index.to_string());
            fs::create_dir_all(&dir)?;
            partitions.push(Arc::new(Partition::open(&dir, Shutdown::Clean)?));
        }
        Topic::save(&topic.dir, &stored_of(&topic, partitions.len()))?;
        *topic.partitions.write() = partitions;
        Ok(())
    }

    /// Sets and removes (`None`) settings of a topic.
    pub fn configure(&self, name: &str, changes: Vec<(String, Option<String>)>) -> Result<(), TopicError> {
        let _change = self.changes.lock();
        let topic = self.get(name).ok_or_else(|| TopicError::Unknown(name.to_owned()))?;
        {
            let mut config = topic.config.write();
            for (key, value) in changes {
                match value {
                    Some(value) => drop(config.insert(key, value)),
                    None => drop(config.remove(&key)),
                }
            }
        }
        Ok(Topic::save(&topic.dir, &stored_of(&topic, topic.partitions().len()))?)
    }

    pub fn delete(&self, name: &str) -> Result<(), TopicError> {
        let _change = self.changes.lock();
        let topic = self.topics.write().remove(name).ok_or_else(|| TopicError::Unknown(name.to_owned()))?;
        for partition in topic.partitions() {
            partition.abandon();
        }
        // Moved away first: a topic is gone as a whole or not at all, also when the process ends here.
        let removed = self.dir.parent().unwrap_or(&self.dir).join("removed");
        fs::create_dir_all(&removed)?;
        let target = removed.join(topic.id.to_string());
        fs::rename(&topic.dir, &target)?;
        Ok(fs::remove_dir_all(target)?)
    }

    pub fn close(&self) -> io::Result<()> {
        for partition in self.all().iter().flat_map(|topic| topic.partitions()) {
            partition.close()?;
        }
        Ok(())
    }
}

fn stored_of(topic: &Topic, partitions: usize) -> Stored {
    Stored { name: topic.name.clone(), id: topic.id, partitions, config: topic.config.read().clone() }
}

//! Config providers: `${file:/path:key}`, `${dir:/path:name}` and `${env:NAME}` in configurations stand for secrets that
//! are kept elsewhere. A configuration is stored and shown as it was given; references are looked up when it is validated
//! and each time a task starts (spec/connect.md §2.3).

use std::path::{Component, Path, PathBuf};

use connect::settings::Properties;
use regex::Regex;

/// Java's form: provider, path where there is one, key.
const REFERENCE: &str = r"\$\{([^}]*?):(?:([^}]*?):)?([^}]*?)\}";

const FILE: &[&str] = &["org.apache.kafka.common.config.provider.FileConfigProvider"];
const DIRECTORY: &[&str] = &["org.apache.kafka.common.config.provider.DirectoryConfigProvider"];
const ENVIRONMENT: &[&str] = &[
    "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
    "io.strimzi.kafka.EnvVarConfigProvider",
];

/// The providers of a worker.
#[derive(Clone, Debug, Default)]
pub struct Providers(Vec<(String, Provider)>);

#[derive(Clone, Debug)]
enum Provider {
    /// A properties file.
    File(Allowed),
    /// One file per value.
    Directory(Allowed),
    Environment(Option<Regex>),
}

/// Folders and files that may be read; `None`: all.
#[derive(Clone, Debug)]
struct Allowed(Option<Vec<PathBuf>>);

impl Allowed {
    fn new(list: Option<&String>) -> Self {
        let split = |text: &String| {
            text.split(',')
                .map(str::trim)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
                .collect::<Vec<_>>()
        };
        Self(list.map(split).filter(|paths| !paths.is_empty()))
    }

    fn check(&self, path: &Path) -> Result<(), String> {
        let plain = path.is_absolute() && !path.components().any(|part| part == Component::ParentDir);
        match &self.0 {
            None => Ok(()),
            Some(allowed) if plain && allowed.iter().any(|allowed| path.starts_with(allowed)) => Ok(()),
            Some(_) => Err(format!("{} is not among allowed.paths", path.display())),
        }
    }
}

impl Providers {
    /// Reads `config.providers` and what belongs to it.
    ///
    /// # Errors
    /// A provider without a class, or with one that is not built in; a pattern that cannot be read.
    pub fn new(worker: &Properties) -> Result<Self, String> {
        let names = worker.get("config.providers").map(String::as_str).unwrap_or_default();
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        names
            .map(|name| Ok((name.to_owned(), Provider::new(name, worker)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Looks references up, once. What cannot be found stays as it is, as in Java, and is said in the log.
    pub fn resolve(&self, properties: &Properties) -> Properties {
        if self.0.is_empty() || !properties.values().any(|value| value.contains("${")) {
            return properties.clone();
        }
        properties.iter().map(|(key, value)| (key.clone(), self.resolve_text(key, value))).collect()
    }

    fn resolve_text(&self, key: &str, text: &str) -> String {
        let reference = Regex::new(REFERENCE).expect("the pattern is valid");
        let replaced = reference.replace_all(text, |found: &regex::Captures<'_>| {
            let whole = found[0].to_owned();
            let Some((_, provider)) = self.0.iter().find(|(name, _)| *name == found[1]) else { return whole };
            match provider.get(found.get(2).map(|path| path.as_str()), &found[3]) {
                Ok(value) => value,
                Err(why) => {
                    tracing::warn!(option = key, reference = whole, "config provider: {why}");
                    whole
                }
            }
        });
        replaced.into_owned()
    }
}

impl Provider {
    fn new(name: &str, worker: &Properties) -> Result<Self, String> {
        let prefix = format!("config.providers.{name}");
        let class = worker.get(&format!("{prefix}.class")).map(|class| class.trim()).unwrap_or_default();
        let param = |param: &str| worker.get(&format!("{prefix}.param.{param}"));
        if FILE.contains(&class) {
            Ok(Self::File(Allowed::new(param("allowed.paths"))))
        } else if DIRECTORY.contains(&class) {
            Ok(Self::Directory(Allowed::new(param("allowed.paths"))))
        } else if ENVIRONMENT.contains(&class) {
            let pattern = param("allowlist.pattern").map(|text| Regex::new(&format!("^(?:{text})$")));
            let pattern = pattern.transpose();
            Ok(Self::Environment(
                pattern.map_err(|error| format!("{prefix}.param.allowlist.pattern: {error}"))?,
            ))
        } else {
            let known: Vec<_> = [FILE, DIRECTORY, ENVIRONMENT].concat();
            Err(format!(
                "{prefix}.class: \"{class}\" is not built in; use one of {}, for example with secrets mounted as files",
                known.join(", ")
            ))
        }
    }

    fn get(&self, path: Option<&str>, key: &str) -> Result<String, String> {
        match self {
            Self::File(allowed) => {
                let path = Path::new(path.ok_or("a file is wanted: ${provider:/path:key}")?);
                let text = read(allowed, path)?;
                let properties =
                    crate::properties::parse(&text).map_err(|why| format!("{}: {why}", path.display()))?;
                properties.get(key).cloned().ok_or_else(|| format!("{} has no key {key}", path.display()))
            }
            Self::Directory(allowed) => {
                let path = Path::new(path.ok_or("a folder is wanted: ${provider:/path:name}")?);
                if Path::new(key).components().count() != 1 || key == ".." {
                    return Err(format!("{key} is no name of a file in {}", path.display()));
                }
                read(allowed, &path.join(key))
            }
            Self::Environment(_) if path.is_some_and(|path| !path.is_empty()) => {
                Err("the environment has no paths: ${provider:NAME}".to_owned())
            }
            Self::Environment(Some(pattern)) if !pattern.is_match(key) => {
                Err(format!("{key} does not match allowlist.pattern"))
            }
            Self::Environment(_) => std::env::var(key).map_err(|error| format!("{key}: {error}")),
        }
    }
}

fn read(allowed: &Allowed, path: &Path) -> Result<String, String> {
    allowed.check(path)?;
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(pairs: &[(&str, &str)]) -> Properties {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn references_are_looked_up_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        std::fs::write(folder.path().join("secrets.properties"), "user = repl\npass=a:b\\=c\n").unwrap();
        std::fs::write(folder.path().join("token"), "t\n").unwrap();
        let worker = properties(&[
            ("config.providers", "file, dir,env"),
            ("config.providers.file.class", FILE[0]),
            ("config.providers.file.param.allowed.paths", &format!("/nowhere,{at}")),
            ("config.providers.dir.class", DIRECTORY[0]),
            ("config.providers.env.class", ENVIRONMENT[0]),
            ("config.providers.env.param.allowlist.pattern", "PATH|HOME"),
        ]);
        let providers = Providers::new(&worker).unwrap();
        let text = |value: &str| providers.resolve(&properties(&[("k", value)]))["k"].clone();
        assert_eq!(text(&format!("${{file:{at}/secrets.properties:pass}}")), "a:b=c");
        assert_eq!(
            text(&format!("x-${{file:{at}/secrets.properties:user}}-${{dir:{at}:token}}")),
            "x-repl-t\n"
        );
        assert_eq!(text("${env:PATH}"), std::env::var("PATH").unwrap());
        let staying = [
            "${env:SHELL}",
            "${vault:secret:key}",
            "${file:/etc/hostname:key}",
            "${file:key}",
            "${topic}",
            "$1",
        ];
        for value in staying {
            assert_eq!(text(value), value);
        }
        for outside in [format!("${{file:{at}/../x:k}}"), format!("${{dir:{at}:../x}}")] {
            assert_eq!(text(&outside), outside);
        }
    }

    #[test]
    fn unknown_classes_are_refused_by_name() {
        let worker =
            properties(&[("config.providers", "v"), ("config.providers.v.class", "com.example.Vault")]);
        let error = Providers::new(&worker).unwrap_err();
        assert!(error.contains("com.example.Vault") && error.contains("FileConfigProvider"), "{error}");
        assert!(Providers::new(&properties(&[("config.providers", "x")])).is_err());
    }
}

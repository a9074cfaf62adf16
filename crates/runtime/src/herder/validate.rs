//! A configuration's answers: the framework's part and the connector's, all errors together.

use connect::settings::{ConfigValue, Definition, Properties, Row};
use transforms::OptionAnswer;

use super::{Herder, HerderError};
use crate::codec::Converters;
use crate::connector_settings::{CONNECT_VERSION, ConverterSettings};
use crate::plugins::{self, Connector};

/// What `/connector-plugins/{class}/config/validate` shows.
pub struct Validation {
    /// As it was given.
    pub class: String,
    pub groups: Vec<String>,
    pub answers: Vec<Answer>,
}

/// The answer to one option.
pub enum Answer {
    /// Of the framework or the connector; without a row where it is no option.
    Option(Option<Row>, ConfigValue),
    /// Of a transform or predicate, under its alias.
    Alias(OptionAnswer),
}

impl Answer {
    pub fn value(&self) -> &ConfigValue {
        match self {
            Self::Option(_, value) => value,
            Self::Alias(option) => &option.answer,
        }
    }

    fn value_mut(&mut self) -> &mut ConfigValue {
        match self {
            Self::Option(_, value) => value,
            Self::Alias(option) => &mut option.answer,
        }
    }
}

impl Validation {
    pub fn error_count(&self) -> usize {
        self.answers.iter().map(|answer| answer.value().errors.len()).sum()
    }

    fn errors(&self) -> impl Iterator<Item = &String> {
        self.answers.iter().flat_map(|answer| &answer.value().errors)
    }
}

impl Herder {
    /// # Errors
    /// No class, or one that is not built in.
    pub async fn validate(&self, config: &Properties) -> Result<Validation, HerderError> {
        let class = config.get("connector.class").map(|class| class.trim()).filter(|class| !class.is_empty());
        let class =
            class.ok_or_else(|| HerderError::bad_request("Connector config contains no connector type"))?;
        let connector = plugins::find(class).ok_or_else(|| unknown_class(class))?;
        let framework = connector.framework();
        let looked_up = self.settings().providers.resolve(config);
        let mut common = framework.resolve(&looked_up);
        let aliases = transforms::answers(&looked_up, CONNECT_VERSION);
        let aliases_wrong = aliases.iter().any(|option| !option.answer.errors.is_empty());
        if !aliases_wrong && let Err(error) = transforms::Chain::new(&looked_up) {
            common.error("transforms", error.to_string());
        }
        self.check_common(connector, &looked_up, &mut common);
        let definition = connector.definition();
        let own = connector.validate(&looked_up).await;
        let mut groups: Vec<String> = framework.groups().into_iter().map(str::to_owned).collect();
        for option in &aliases {
            if !groups.contains(&option.group) {
                groups.push(option.group.clone());
            }
        }
        groups.extend(definition.groups().into_iter().map(str::to_owned));
        let mut answers = paired(&framework, common.answers());
        answers.extend(aliases.into_iter().map(Answer::Alias));
        answers.extend(paired(&definition, own.answers()));
        // What was looked up is secret: the answer shows what was given.
        for answer in answers.iter_mut().map(Answer::value_mut) {
            if config.get(&answer.name) != looked_up.get(&answer.name) {
                answer.value = config.get(&answer.name).cloned();
            }
        }
        Ok(Validation { class: class.to_owned(), groups, answers })
    }

    /// # Errors
    /// All errors of the configuration, as POST and PUT answer them.
    pub(super) async fn check(&self, name: &str, config: &Properties) -> Result<(), HerderError> {
        if name.is_empty() || name.chars().any(char::is_control) {
            let text = "the name of a connector must not be empty or contain control characters";
            return Err(HerderError::bad_request(text));
        }
        let validation = self.validate(config).await?;
        let count = validation.error_count();
        if count == 0 {
            return Ok(());
        }
        let mut text =
            format!("Connector configuration is invalid and contains the following {count} error(s):");
        for error in validation.errors() {
            text.push('\n');
            text.push_str(error);
        }
        text.push_str(
            "\nYou can also find the above list of errors at the endpoint \
             `/connector-plugins/{connectorType}/config/validate`",
        );
        Err(HerderError::bad_request(text))
    }

    fn check_common(
        &self,
        connector: &'static Connector,
        config: &Properties,
        common: &mut connect::settings::Resolved,
    ) {
        let converters = ConverterSettings::new(self.settings(), config);
        if let Err(error) = Converters::new(&converters) {
            common.error("value.converter", error.to_string());
        }
        if connector.kind() != plugins::PluginKind::Sink {
            return;
        }
        let given = |key: &str| config.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
        match (given("topics"), given("topics.regex")) {
            (Some(_), Some(_)) => {
                let text = "topics and topics.regex are mutually exclusive options, but both are set.";
                common.error("topics", text);
                common.error("topics.regex", text);
            }
            (None, None) => {
                let text = "Must configure one of topics or topics.regex";
                common.error("topics", text);
                common.error("topics.regex", text);
            }
            (Some(topics), None) => {
                let dead_letters = given("errors.deadletterqueue.topic.name");
                let list: Vec<&str> = topics.split(',').map(str::trim).collect();
                if let Some(topic) = dead_letters.filter(|topic| list.contains(topic)) {
                    let text = format!(
                        "The DLQ topic '{topic}' may not be included in the list of topics ('topics=[{}]') consumed \
                         by the connector",
                        list.join(", ")
                    );
                    common.error("topics", text);
                }
            }
            (None, Some(regex)) => {
                let dead_letters = given("errors.deadletterqueue.topic.name");
                let matches = |topic: &&str| {
                    regex::Regex::new(&format!("^(?:{regex})$")).is_ok_and(|regex| regex.is_match(topic))
                };
                if let Some(topic) = dead_letters.filter(matches) {
                    let text = format!(
                        "The DLQ topic '{topic}' may not be matched by the regex for the topics \
                         ('topics.regex={regex}') consumed by the connector"
                    );
                    common.error("topics.regex", text);
                }
            }
        }
    }
}

fn paired(definition: &Definition, answers: &[ConfigValue]) -> Vec<Answer> {
    answers
        .iter()
        .filter(|answer| {
            definition
                .row(&answer.name)
                .is_none_or(|row| row.standing != connect::settings::Standing::Internal)
                || !answer.errors.is_empty()
        })
        .map(|answer| Answer::Option(definition.row(&answer.name).cloned(), answer.clone()))
        .collect()
}

fn unknown_class(class: &str) -> HerderError {
    let known: Vec<&str> = plugins::CONNECTORS.iter().map(|connector| connector.class).collect();
    HerderError::bad_request(format!(
        "Failed to find any class that implements Connector and which name matches {class}, available connectors are: \
         {}",
        known.join(", ")
    ))
}

//! `/validate` for the transforms and predicates of a connector: one answer for each option of each alias.

use connect::settings::{ConfigValue, Definition, Importance, Properties, Row, Width, row};

use crate::catalog::{definition, predicate_classes, transform_classes};
use crate::chain::{aliases, under};

/// One option of one alias.
#[derive(Clone)]
pub struct OptionAnswer {
    /// The option as its class knows it.
    pub row: Row,
    /// `Transforms: a`.
    pub group: String,
    pub order_in_group: i32,
    pub display_name: String,
    pub doc: String,
    /// Under its full name (`transforms.a.regex`).
    pub answer: ConfigValue,
}

/// What differs between the two lists.
struct List {
    /// `transforms`.
    name: &'static str,
    /// `Transforms`.
    group: &'static str,
    /// `Transformation`.
    what: &'static str,
    classes: fn() -> Vec<String>,
}

const LISTS: [List; 2] = [
    List {
        name: "transforms",
        group: "Transforms",
        what: "Transformation",
        classes: || transform_classes().map(str::to_owned).collect(),
    },
    List {
        name: "predicates",
        group: "Predicates",
        what: "Predicate",
        classes: || predicate_classes().map(str::to_owned).collect(),
    },
];

/// The answers in the order in which Connect gives them: transforms, then predicates, each alias in its place.
pub fn answers(properties: &Properties, version: &str) -> Vec<OptionAnswer> {
    let mut all = vec![];
    for list in &LISTS {
        for alias in aliases(properties, list.name, &mut vec![]) {
            of_alias(list, &alias, properties, version, &mut all);
        }
    }
    all
}

fn of_alias(list: &List, alias: &str, properties: &Properties, version: &str, all: &mut Vec<OptionAnswer>) {
    let prefix = format!("{}.{alias}.", list.name);
    let own = under(properties, &prefix);
    let class = own.get("type").map(|class| class.trim().to_owned());
    let options = class.as_deref().and_then(definition);
    let lower = list.what.to_lowercase();
    let mut push = |row: Row, display: Option<String>, doc: Option<String>, mut answer: ConfigValue| {
        answer.name = format!("{prefix}{}", answer.name);
        for error in &mut answer.errors {
            let bare = format!("Missing required configuration \"{}\"", row.name);
            *error =
                error.replace(&bare, &format!("Missing required configuration \"{prefix}{}\"", row.name));
        }
        let order_in_group = all.iter().filter(|it| it.group == format!("{}: {alias}", list.group)).count();
        all.push(OptionAnswer {
            group: format!("{}: {alias}", list.group),
            order_in_group: i32::try_from(order_in_group).unwrap_or(i32::MAX),
            display_name: display.unwrap_or_else(|| row.display_name.to_owned()),
            doc: doc.unwrap_or_else(|| row.doc.to_owned()),
            row,
            answer,
        });
    };
    let kind = row("type").class().required().importance(Importance::High).width(Width::Long);
    let mut errors = vec![];
    match (&class, &options) {
        (None, _) => {
            errors.push("Missing required configuration \"type\" which has no default value.".to_owned())
        }
        (Some(class), None) => errors.push(format!(
            "Invalid value {class} for configuration {prefix}type: Class {class} could not be found."
        )),
        _ => {}
    }
    let is_negated = own.contains_key("negate") && !own.contains_key("predicate");
    if is_negated && list.name == "transforms" {
        errors.push(negated_without_predicate(&prefix));
    }
    let answer = ConfigValue {
        name: "type".to_owned(),
        value: class,
        recommended: (list.classes)(),
        errors,
        visible: true,
    };
    let doc = format!("Class for the '{alias}' {lower}.");
    push(kind, Some(format!("{} type for {alias}", list.what)), Some(doc), answer);
    let answer = ConfigValue {
        name: "plugin.version".to_owned(),
        value: options.is_some().then(|| version.to_owned()),
        recommended: options.iter().map(|_| version.to_owned()).collect(),
        errors: vec![],
        visible: true,
    };
    let row_of_version = row("plugin.version").importance(Importance::High).width(Width::Long);
    let doc = format!("Version of the '{alias}' {lower}.");
    push(row_of_version, Some(format!("{} version for {alias}", list.what)), Some(doc), answer);
    let Some(mut options) = options else { return };
    if list.name == "transforms" {
        options.rows.extend(common_rows());
    }
    in_order(&mut options);
    let resolved = options.resolve(&own);
    for (row, answer) in options.rows.iter().zip(resolved.answers()) {
        push(row.clone(), None, None, answer.clone());
    }
}

pub(crate) fn negated_without_predicate(prefix: &str) -> String {
    format!(
        "Config '{prefix}negate' was provided but there is no config '{prefix}predicate' defining a predicate to be \
         negated."
    )
}

/// What every transform has.
fn common_rows() -> [Row; 2] {
    [
        row("predicate")
            .importance(Importance::Medium)
            .doc("Name of the predicate that a record must meet for this transform to be applied."),
        row("negate")
            .boolean()
            .default("false")
            .importance(Importance::Medium)
            .doc("Whether the transform is applied to the records that do not meet the predicate instead."),
    ]
}

/// Kafka's order where nothing else is said: what has no default, the important, the alphabet.
fn in_order(definition: &mut Definition) {
    let weight = |importance: Importance| match importance {
        Importance::High => 0,
        Importance::Medium => 1,
        Importance::Low => 2,
    };
    definition.rows.sort_by_key(|row| (!row.required, weight(row.importance), row.name));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pairs: &[(&str, &str)]) -> Vec<(String, i32, usize)> {
        let properties = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let answers = answers(&properties, "4.3.0");
        answers.into_iter().map(|it| (it.answer.name, it.order_in_group, it.answer.errors.len())).collect()
    }

    #[test]
    fn as_connect_orders_them() {
        let found = names(&[("transforms", "b"), ("transforms.b.type", "RegexRouter")]);
        let expected = [("type", 0, 0), ("plugin.version", 1, 0), ("regex", 2, 1), ("replacement", 3, 1)]
            .into_iter()
            .chain([("negate", 4, 0), ("predicate", 5, 0)]);
        let expected: Vec<_> =
            expected.map(|(name, order, errors)| (format!("transforms.b.{name}"), order, errors)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_wrong_with_the_class() {
        assert_eq!(names(&[("transforms", "a")])[0], ("transforms.a.type".to_owned(), 0, 1));
        let unknown = names(&[("predicates", "p"), ("predicates.p.type", "no.Such")]);
        assert_eq!(unknown.len(), 2);
        assert_eq!(unknown[0], ("predicates.p.type".to_owned(), 0, 1));
        let negated = names(&[
            ("transforms", "a"),
            ("transforms.a.type", "HoistField$Key"),
            ("transforms.a.field", "f"),
            ("transforms.a.negate", "true"),
        ]);
        assert_eq!(negated[0].2, 1);
    }
}

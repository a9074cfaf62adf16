//! The part of JSONPath that conditions and topics are written in: `$.a['b'][0][*]` and a filter `[?(@.x == 'y')]`.

use connect::{Kind, Schema, TaskError, Value};

use crate::expression::NodeCondition;

pub(crate) struct JsonPath {
    steps: Vec<Step>,
    filter: Option<NodeCondition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
    All,
}

/// A value, with its schema where it has one.
pub(crate) type Node<'a> = (Option<&'a Schema>, &'a Value);

impl JsonPath {
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let (steps, filter) = parse(text.trim())?;
        let filter = filter.map(|filter| NodeCondition::new(&filter)).transpose()?;
        Ok(Self { steps, filter })
    }

    /// A field of the outermost value, whatever characters its name has.
    pub(crate) fn of_name(name: &str) -> Self {
        Self { steps: vec![Step::Name(name.to_owned())], filter: None }
    }

    pub(crate) fn has_filter(&self) -> bool {
        self.filter.is_some()
    }

    /// The values that the path leads to; with a filter those that it accepts.
    pub(crate) fn find<'a>(&self, root: Node<'a>) -> Result<Vec<Node<'a>>, TaskError> {
        let mut nodes = vec![root];
        for step in &self.steps {
            nodes = nodes.into_iter().flat_map(|node| step.from(node)).collect();
        }
        let Some(filter) = &self.filter else { return Ok(nodes) };
        let mut accepted = vec![];
        for node in nodes {
            // A list is filtered by its items, anything else by itself.
            let candidates =
                if matches!(node.1, Value::Array(_)) { Step::All.from(node) } else { vec![node] };
            for candidate in candidates {
                if filter.test(candidate.0, candidate.1)? {
                    accepted.push(candidate);
                }
            }
        }
        Ok(accepted)
    }
}

impl Step {
    fn from<'a>(&self, (schema, value): Node<'a>) -> Vec<Node<'a>> {
        match (self, value, schema.map(Schema::kind)) {
            (Self::Name(name), Value::Struct(values), Some(Kind::Struct(fields))) => {
                let index = fields.iter().position(|field| *field.name == **name);
                index.map(|index| (Some(&fields[index].schema), &values[index])).into_iter().collect()
            }
            (Self::Name(name), Value::Map(entries), kind) => {
                let schema = match kind {
                    Some(Kind::Map { value, .. }) => Some(value),
                    _ => None,
                };
                let found = entries.iter().find(|(key, _)| key.as_str() == Some(name));
                found.map(|(_, value)| (schema, value)).into_iter().collect()
            }
            (Self::Index(index), Value::Array(items), kind) => {
                items.get(*index).map(|item| (item_schema(kind), item)).into_iter().collect()
            }
            (Self::All, Value::Array(items), kind) => {
                items.iter().map(|item| (item_schema(kind), item)).collect()
            }
            (Self::All, Value::Struct(values), Some(Kind::Struct(fields))) => {
                fields.iter().map(|field| Some(&field.schema)).zip(values).collect()
            }
            (Self::All, Value::Map(entries), _) => entries.iter().map(|(_, value)| (None, value)).collect(),
            _ => vec![],
        }
    }
}

fn item_schema(kind: Option<&Kind>) -> Option<&Schema> {
    match kind {
        Some(Kind::Array(item)) => Some(item),
        _ => None,
    }
}

fn parse(path: &str) -> Result<(Vec<Step>, Option<String>), String> {
    let invalid = |why: &str| format!("{path} is not a JSON path that is understood here: {why}");
    let mut rest = path.strip_prefix('$').ok_or_else(|| invalid("it must begin with $"))?;
    let mut steps = vec![];
    while !rest.is_empty() {
        if let Some(filter) = rest.strip_prefix("[?") {
            let filter = filter.strip_suffix(']').ok_or_else(|| invalid("a filter must be its end"))?.trim();
            let bare = filter.strip_prefix('(').and_then(|it| it.strip_suffix(')')).unwrap_or(filter);
            return Ok((steps, Some(bare.to_owned())));
        }
        if let Some(inside) = rest.strip_prefix('[') {
            let (step, behind) = bracket(inside).ok_or_else(|| invalid("a bracket is not closed"))?;
            steps.push(step);
            rest = behind;
            continue;
        }
        let named = rest.strip_prefix('.').ok_or_else(|| invalid("a dot or a bracket is missing"))?;
        let end = named.find(['.', '[']).unwrap_or(named.len());
        let (name, behind) = named.split_at(end);
        match name {
            "" => return Err(invalid("`..` is not supported")),
            "*" => steps.push(Step::All),
            name => steps.push(Step::Name(name.to_owned())),
        }
        rest = behind;
    }
    Ok((steps, None))
}

/// What is in a bracket, and what is behind it.
fn bracket(inside: &str) -> Option<(Step, &str)> {
    if let Some(quote) = inside.chars().next().filter(|it| matches!(it, '\'' | '"')) {
        let (name, behind) = inside[1..].split_once(quote)?;
        return Some((Step::Name(name.to_owned()), behind.strip_prefix(']')?));
    }
    let (content, behind) = inside.split_once(']')?;
    let step = if content.trim() == "*" { Step::All } else { Step::Index(content.trim().parse().ok()?) };
    Some((step, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, value: &Value, expected: &[Value]) {
        let path = JsonPath::new(path).unwrap();
        let found: Vec<Value> =
            path.find((None, value)).unwrap().into_iter().map(|it| it.1.clone()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn paths_and_filters() {
        let map = |pairs: &[(&str, Value)]| {
            Value::Map(pairs.iter().map(|(key, value)| (Value::text(key), value.clone())).collect())
        };
        let item = |n: i64| map(&[("n", Value::Int64(n)), ("s", Value::text("x"))]);
        let value = map(&[("a", Value::Array(Box::new([item(1), item(2)]))), ("b c", Value::Int64(3))]);
        check("$['b c']", &value, &[Value::Int64(3)]);
        check("$.a[1].n", &value, &[Value::Int64(2)]);
        check("$.a[*].n", &value, &[Value::Int64(1), Value::Int64(2)]);
        check("$.a[?(@.n > 1 && @.s == 'x')]", &value, &[item(2)]);
        check("$.a[?(@.nothing == 1)]", &value, &[]);
        check("$[?(@['b c'] == 3)]", &value, std::slice::from_ref(&value));
        check("$.nothing", &value, &[]);
        assert!(JsonPath::new("a.b").is_err() && JsonPath::new("$..a").is_err());
        assert!(JsonPath::new("$[?(@.n ==)]").is_err());
    }
}

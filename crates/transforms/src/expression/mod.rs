//! `io.debezium.transforms.Filter` and `ContentBasedRouter`: records dropped or routed by an expression.
//!
//! The engine is CEL (the crate `cel`). Debezium leaves the language to a JSR 223 engine on the class path, in the field
//! Groovy and sometimes JavaScript. Running those would mean a JVM or a second interpreter with loops, memory and clocks
//! in the path of every record; what people write there are conditions such as
//! `value.op == 'u' && value.before.id == 2`, and these are CEL as they stand: the same operators, both kinds of quotes,
//! `null`, `? :`, `in`. Rhai was the other candidate: it reads `'u'` as a character, so that most conditions of the field
//! would mean something else, and it has loops to be limited. What is Groovy or JavaScript and not CEL is translated
//! where it is only another spelling ([`groovy`]), and otherwise refused with the expression to write instead.
//!
//! A record is not copied for the engine: it looks at the fields that the expression names ([`view`]).

mod groovy; // other spellings -> CEL, or what to write instead
mod view; // a record as CEL sees it

use std::sync::Arc;

use cel::common::value::CowVal;
use cel::{Context, Env, Program, Value as Cel};
use connect::settings::{Definition, Importance, Properties, Resolved, Row, Validator, row};
use connect::{Record, Schema, TaskError, Transform, Value, Verdict};

use crate::java_regex::Pattern;
use crate::options;
use view::RecordView;

/// What happens to records with a null value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NullHandling {
    Keep,
    Drop,
    Evaluate,
}

/// What both classes have.
struct Scripted {
    program: Program,
    env: Arc<Env>,
    topics: Option<Pattern>,
    nulls: NullHandling,
}

/// What is to be done with a record before its expression is asked.
enum Before {
    Done(Verdict),
    Evaluate,
}

fn common_rows(mut rows: Vec<Row>) -> Definition {
    rows.insert(
        0,
        row("topic.regex")
            .importance(Importance::Low)
            .check(options::checked!(options::pattern, "topic.regex"))
            .doc("Pattern of topics whose records are looked at; the others pass."),
    );
    rows.insert(
        1,
        row("language")
            .required()
            .importance(Importance::High)
            .check(Validator::Check(|value, _| check_language(value.unwrap_or_default())))
            .doc("Language of the expression: 'cel', or 'jsr223.groovy' and 'jsr223.graal.js' for expressions that mean the same in CEL."),
    );
    rows.push(
        row("null.handling.mode")
            .default("keep")
            .importance(Importance::Medium)
            .check(Validator::OneOfIgnoreCase(&["keep", "drop", "evaluate"]))
            .doc("Records without a value: keep passes them, drop removes them, evaluate lets the expression decide."),
    );
    Definition::new(rows)
}

fn check_language(language: &str) -> Result<(), String> {
    let known = ["cel", "jsr223.groovy", "jsr223.graal.js", "jsr223.js", "jsr223.javascript", "jsr223.cel"];
    if known.iter().any(|name| name.eq_ignore_ascii_case(language.trim())) {
        return Ok(());
    }
    Err(format!(
        "Invalid value {language} for configuration language: expressions are evaluated as CEL; write 'cel', or \
         'jsr223.groovy' or 'jsr223.graal.js' for an expression that is valid in both"
    ))
}

fn check_expression(option: &str, value: Option<&str>) -> Result<(), String> {
    match value {
        Some(text) => compile(option, text).map(drop),
        None => Ok(()),
    }
}

fn environment() -> Result<Env, String> {
    let mut env = Env::stdlib();
    env.add_extension(cel::extensions::strings).map_err(|error| error.to_string())?;
    Ok(env)
}

fn compile(option: &str, text: &str) -> Result<(Program, Env), String> {
    let invalid = |why: &str| format!("Invalid value {text} for configuration {option}: {why}");
    let expression = groovy::to_cel(text).map_err(|hint| invalid(&hint))?;
    let env = environment()?;
    let program = env.compile(&expression).map_err(|error| {
        let error = error.to_string();
        invalid(&format!("not a CEL expression: {}", error.trim()))
    })?;
    Ok((program, env))
}

impl Scripted {
    fn new(resolved: &Resolved, option: &str) -> Result<Self, Vec<String>> {
        let (program, env) =
            compile(option, resolved.text(option).unwrap_or_default()).map_err(|error| vec![error])?;
        let topics = options::given(resolved, "topic.regex").map(|text| Pattern::new(&text)).transpose();
        Ok(Self {
            program,
            env: Arc::new(env),
            topics: topics.map_err(|error| vec![error])?,
            nulls: match resolved.text("null.handling.mode").map(str::to_lowercase).as_deref() {
                Some("drop") => NullHandling::Drop,
                Some("evaluate") => NullHandling::Evaluate,
                _ => NullHandling::Keep,
            },
        })
    }

    fn before(&self, record: &Record) -> Before {
        if self.topics.as_ref().is_some_and(|topics| !topics.matches(&record.topic)) {
            return Before::Done(Verdict::Keep);
        }
        match self.nulls {
            NullHandling::Keep if record.value.is_null() => Before::Done(Verdict::Keep),
            NullHandling::Drop if record.value.is_null() => Before::Done(Verdict::Drop),
            _ => Before::Evaluate,
        }
    }

    fn evaluate(&self, record: &Record) -> Result<Cel, TaskError> {
        let view = RecordView(record);
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.set_variable_resolver(&view);
        let result: CowVal<'_, '_> =
            Cel::resolve_val(self.program.expression(), &context).map_err(|error| refused(&error))?;
        Cel::try_from(&*result).map_err(|error| refused(&error))
    }
}

fn refused(error: &cel::ExecutionError) -> TaskError {
    TaskError::reject(format!("Error while evaluating expression: {error}")).with_hint(
        "a field that may be missing is asked for with has(value.before), one that may be null with value.before != null",
    )
}

/// A condition about one value, which JSON paths call `@`.
pub(crate) struct NodeCondition {
    program: Program,
    env: Arc<Env>,
}

const NODE: &str = "node";

impl NodeCondition {
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let (program, env) = compile("filter", &groovy::with_node(text, NODE))?;
        Ok(Self { program, env: Arc::new(env) })
    }

    /// What is missing makes a condition false.
    pub(crate) fn test(&self, schema: Option<&Schema>, value: &Value) -> Result<bool, TaskError> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        context.add_variable_as_val(NODE, view::val(schema, value));
        match Cel::resolve_val(self.program.expression(), &context) {
            Ok(result) => Ok(match Cel::try_from(&*result) {
                Ok(Cel::Bool(flag)) => flag,
                // A path alone asks whether something is there.
                Ok(Cel::Null) => false,
                _ => true,
            }),
            Err(cel::ExecutionError::NoSuchKey(_)) => Ok(false),
            Err(error) => Err(refused(&error)),
        }
    }
}

/// Keeps the records for which the condition is true.
pub(crate) struct Filter {
    scripted: Scripted,
}

pub(crate) fn filter_definition() -> Definition {
    common_rows(vec![
        row("condition")
            .required()
            .importance(Importance::High)
            .check(options::checked!(check_expression, "condition"))
            .doc("Records for which this is true are kept, the others removed."),
    ])
}

impl Filter {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&filter_definition(), properties)?;
        Ok(Self { scripted: Scripted::new(&resolved, "condition")? })
    }
}

impl Transform for Filter {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        if let Before::Done(verdict) = self.scripted.before(record) {
            return Ok(verdict);
        }
        match self.scripted.evaluate(record)? {
            Cel::Bool(true) => Ok(Verdict::Keep),
            Cel::Bool(false) => Ok(Verdict::Drop),
            other => Err(TaskError::reject(format!(
                "Value '{other:?}' returned by the expression is not a boolean"
            ))),
        }
    }
}

/// Sends records to the topic that the expression names; null leaves them where they are.
pub(crate) struct ContentBasedRouter {
    scripted: Scripted,
    /// The last topic, shared by the records that go there.
    last: Option<Arc<str>>,
}

pub(crate) fn router_definition() -> Definition {
    common_rows(vec![
        row("topic.expression")
            .required()
            .importance(Importance::High)
            .check(options::checked!(check_expression, "topic.expression"))
            .doc("Name of the topic to which the record goes; null leaves it where it was going."),
    ])
}

impl ContentBasedRouter {
    pub(crate) fn new(properties: &Properties) -> Result<Self, Vec<String>> {
        let resolved = options::resolve(&router_definition(), properties)?;
        Ok(Self { scripted: Scripted::new(&resolved, "topic.expression")?, last: None })
    }
}

impl Transform for ContentBasedRouter {
    fn apply(&mut self, record: &mut Record) -> Result<Verdict, TaskError> {
        if let Before::Done(verdict) = self.scripted.before(record) {
            return Ok(verdict);
        }
        match self.scripted.evaluate(record)? {
            Cel::Null => Ok(Verdict::Keep),
            Cel::String(name) => {
                record.topic = match &self.last {
                    Some(topic) if **topic == **name => Arc::clone(topic),
                    _ => Arc::clone(self.last.insert(Arc::from(name.as_str()))),
                };
                Ok(Verdict::Keep)
            }
            other => Err(TaskError::reject(format!(
                "Value '{other:?}' returned by the expression is not a topic's name"
            ))),
        }
    }
}

#[cfg(test)]
mod tests;

//! JSON Schema behind the registered converter: schemas translated, payloads by the JSON converter's plans.

use connect::settings::Properties;
use connect::{Buffer, Schema, TaskError, Value};
use jsonschema::Validator;
use registry_client::SchemaType;
use registry_client::schemas::{Document, JsonSchema};
use serde_json::Value as Json;

use super::fits::fits;
use super::schema_in::to_connect;
use super::schema_out::to_json_schema;
use super::settings::{Shape, Validation, definition};
use crate::catalog::Role;
use crate::json::{Parser, Plan, ReadPlan};
use crate::registered::{Format, PayloadReader, PayloadWriter, RegisteredConverter};

/// Confluent's `JsonSchemaConverter`.
pub(crate) fn converter(
    role: Role,
    properties: &Properties,
) -> Result<RegisteredConverter<JsonSchemaFormat>, TaskError> {
    let definition = definition();
    let shape = Shape::from_resolved(&definition.resolve(properties));
    RegisteredConverter::new(role, &definition, properties, JsonSchemaFormat { shape })
}

#[derive(Clone)]
pub(crate) struct JsonSchemaFormat {
    shape: Shape,
}

impl Format for JsonSchemaFormat {
    const TYPE: SchemaType = SchemaType::Json;
    type Parsed = JsonSchema;

    fn own(&self, schema: Option<&Schema>) -> Result<JsonSchema, TaskError> {
        let schema = schema
            .ok_or_else(|| TaskError::reject("data without a schema has no JSON Schema to register"))?;
        let text = to_json_schema(schema, self.shape)?.to_string();
        self.parse(&Document { text, references: vec![] })
    }

    fn parse(&self, document: &Document) -> Result<JsonSchema, TaskError> {
        let unreadable = |error| TaskError::reject(format!("the JSON Schema cannot be read: {error}"));
        JsonSchema::parse(document).map_err(unreadable)
    }

    fn text(&self, parsed: &JsonSchema) -> String {
        parsed.canonical()
    }

    fn record_name(&self, parsed: &JsonSchema) -> Option<String> {
        parsed.root().get("title").and_then(Json::as_str).map(str::to_owned)
    }

    fn fits(&self, own: &JsonSchema, theirs: &JsonSchema) -> bool {
        fits(own, theirs)
    }

    /// Payloads have the own schema's form, whatever the registry's has beside it.
    fn writer(
        &self,
        schema: Option<&Schema>,
        target: &JsonSchema,
    ) -> Result<Box<dyn PayloadWriter>, TaskError> {
        let schema = schema.ok_or_else(|| TaskError::reject("data without a schema cannot be written"))?;
        let plan = Plan::new(schema, self.shape.style)?;
        Ok(Box::new(JsonSchemaWriter { plan, validator: self.validator(target)? }))
    }

    fn reader(&self, source: &JsonSchema, version: Option<i32>) -> Result<Box<dyn PayloadReader>, TaskError> {
        let schema = to_connect(source, self.shape, version)?;
        let plan = ReadPlan::new(&schema, self.shape.style)?;
        Ok(Box::new(JsonSchemaReader { schema, plan, validator: self.validator(source)? }))
    }
}

impl JsonSchemaFormat {
    fn validator(&self, schema: &JsonSchema) -> Result<Option<Validator>, TaskError> {
        if self.shape.validation == Validation::Off {
            return Ok(None);
        }
        let failed =
            |error| TaskError::reject(format!("the JSON Schema cannot be used to validate: {error}"));
        jsonschema::validator_for(&schema.bundled()).map(Some).map_err(failed)
    }
}

fn validate(validator: &Validator, payload: &[u8]) -> Result<(), TaskError> {
    let json: Json = serde_json::from_slice(payload)
        .map_err(|error| TaskError::reject("the payload is not JSON").with_source(error))?;
    // The value itself may be secret: only the place of the error is told.
    validator.validate(&json).map_err(|error| {
        TaskError::reject(format!("the payload does not keep to its JSON Schema at {}", error.schema_path()))
    })
}

struct JsonSchemaWriter {
    plan: Plan,
    validator: Option<Validator>,
}

impl PayloadWriter for JsonSchemaWriter {
    fn write(&mut self, value: &Value, out: &mut Vec<u8>) -> Result<(), TaskError> {
        let start = out.len();
        self.plan.write(value, out)?;
        match &self.validator {
            Some(validator) => validate(validator, &out[start..]),
            None => Ok(()),
        }
    }
}

struct JsonSchemaReader {
    schema: Schema,
    plan: ReadPlan,
    validator: Option<Validator>,
}

impl PayloadReader for JsonSchemaReader {
    fn read(&self, buffer: &Buffer, start: usize) -> Result<(Option<Schema>, Value), TaskError> {
        if let Some(validator) = &self.validator {
            validate(validator, &buffer.bytes()[start..])?;
        }
        let mut parser = Parser::at(buffer, start);
        let value = self.plan.read(&mut parser)?;
        if !parser.is_at_end() {
            return Err(parser.error("something follows the value"));
        }
        Ok((Some(self.schema.clone()), value))
    }
}

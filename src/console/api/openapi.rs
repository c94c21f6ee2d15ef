//! The OpenAPI document (3.1, whose schemas are JSON Schema), made from the table of endpoints and the types that they answer.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::shapes::Error;
use super::{Endpoint, endpoints, shape};
use crate::console::hooks::KINDS;
use crate::edge::office::Scope;

/// The document.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let error = shape::<Error>(&mut generator);
    let mut paths = Map::new();
    for endpoint in endpoints() {
        let answer = (endpoint.answer)(&mut generator);
        let body = endpoint.body.map(|body| body(&mut generator));
        let operation = operation(
            &endpoint,
            &json!(answer),
            body.map(|b| json!(b)),
            &json!(error),
        );
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method.to_lowercase()] = operation;
    }
    let scopes: Map<String, Value> = (Scope::ALL.iter())
        .map(|scope| (scope.name().to_owned(), scope.words().into()))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Stroll",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What a store that runs Stroll tells programs, and what it does for them. Money is whole minor \
                units of the currency. A key is made under Programs in the console, and sent as `Authorization: Bearer KEY`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "webhooks": webhooks(),
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "key": {
                "type": "http", "scheme": "bearer",
                "description": "A key of this store. Each is for some of these scopes only.",
                "x-scopes": scopes,
            } },
        },
    })
}

fn operation(endpoint: &Endpoint, answer: &Value, body: Option<Value>, error: &Value) -> Value {
    let places = endpoint.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some(
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
        )
    });
    let asked = endpoint.query.iter().map(|(name, words)| {
        json!({ "name": name, "in": "query", "description": words, "schema": { "type": "string" } })
    });
    let parameters: Vec<Value> = places.chain(asked).collect();
    let of = |words: &str, schema: &Value| json!({ "description": words, "content": { "application/json": { "schema": schema } } });
    let mut operation = json!({
        "operationId": id(endpoint),
        "summary": endpoint.summary,
        "description": format!("Scope: `{}`.", endpoint.scope.name()),
        "security": [{ "key": [endpoint.scope.name()] }],
        "parameters": parameters,
        "responses": {
            "200": of("It is so, or it is done.", answer),
            "default": of("Why not.", error),
        },
    });
    if let Some(body) = body {
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": body } } });
    }
    operation
}

/// `get_receipts_session`
fn id(endpoint: &Endpoint) -> String {
    let path = endpoint.path.trim_start_matches("/api/v1/");
    let words = path
        .split(['/', '-'])
        .map(|word| word.trim_matches(['{', '}']));
    let words: Vec<&str> = words.collect();
    format!("{}_{}", endpoint.method.to_lowercase(), words.join("_"))
}

fn webhooks() -> Value {
    let hooks = KINDS.iter().map(|(kind, words)| {
        let event = json!({
            "type": "object",
            "required": ["id", "type", "created_at", "store", "data"],
            "properties": {
                "id": { "type": "string", "description": "the same at every try" },
                "type": { "const": kind },
                "created_at": { "type": "string", "format": "date-time" },
                "store": { "type": "string" },
                "data": { "type": "object" },
            },
        });
        let header = |name: &str| json!({ "name": name, "in": "header", "required": true, "schema": { "type": "string" } });
        let hook = json!({ "post": {
            "summary": words,
            "parameters": [header("webhook-id"), header("webhook-timestamp"), header("webhook-signature")],
            "requestBody": { "required": true, "content": { "application/json": { "schema": event } } },
            "responses": { "2XX": { "description": "Heard. Anything else is tried again; 410 ends the webhook." } },
        } });
        ((*kind).to_owned(), hook)
    });
    Value::Object(hooks.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_has_its_own_name() {
        let document = document();
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap_or_default();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        let paths = document["paths"].as_object().unwrap();
        let ids: Vec<&str> = (paths
            .values()
            .flat_map(|path| path.as_object().unwrap().values()))
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
        let distinct: std::collections::BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(distinct.len(), endpoints().len());
        assert!(document["components"]["schemas"]["Cart"]["properties"]["lines"].is_object());
    }
}

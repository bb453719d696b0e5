//! Bodies that no view of ours describes.

use serde_json::{Value, json};
use utoipa::openapi::{Ref, RefOr, Schema};

/// Bytes as they are.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "documents a body that is a stream")]
pub(crate) struct Binary(Vec<u8>);

/// Words by name, like `{"team": "core"}`.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(crate) struct Labels(std::collections::HashMap<String, String>);

/// `detail` of an error.
pub(crate) fn detail() -> RefOr<Schema> {
    Ref::from_schema_name("ErrorDetail").into()
}

/// The one error body and its parts, by name.
pub(super) fn errors() -> [(&'static str, Value); 3] {
    let place = json!({"oneOf": [{"type": "string"}, {"type": "integer", "minimum": 0}]});
    let fault = json!({
        "type": "object",
        "description": "A fault of one field",
        "required": ["loc", "msg", "type"],
        "properties": {
            "loc": {"type": "array", "items": place, "description": "`body`, `query` or `header`, then names and indexes"},
            "msg": {"type": "string", "description": "What would be right"},
            "type": {"type": "string", "description": "The kind of fault"},
        },
    });
    let detail = json!({
        "description": "What happened: text, or every fault of the fields",
        "oneOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/components/schemas/ErrorFault"}}],
    });
    let error = json!({
        "type": "object",
        "description": "Why a request failed",
        "required": ["error", "message", "code", "correlation_id"],
        "properties": {
            "error": {"type": "string", "description": "The kind of failure, a word for programs"},
            "message": {"type": "string", "description": "The same for people"},
            "code": {"type": "integer", "description": "The status", "minimum": 400, "maximum": 599},
            "detail": {"$ref": "#/components/schemas/ErrorDetail"},
            "correlation_id": {"type": "string", "description": "The request's id, as in `X-Request-Id`"},
        },
        "additionalProperties": false,
    });
    [("ErrorFault", fault), ("ErrorDetail", detail), ("Error", error)]
}

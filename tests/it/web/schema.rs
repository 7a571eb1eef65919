//! The part of JSON Schema that the OpenAPI document uses. A keyword that is
//! not known here fails, so nothing is believed unchecked.

use chrono::DateTime;
use serde_json::Value;
use uuid::Uuid;

/// Checks `value` against `schema`, whose references lead into `document`.
#[track_caller]
pub(super) fn check(document: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} leads nowhere"));
        return check(document, target, value, place);
    }
    for (keyword, rule) in schema.as_object().unwrap_or_else(|| panic!("{place}: no schema")) {
        match keyword.as_str() {
            "description" => {}
            "type" => check_type(rule, value, place),
            "enum" => assert!(rule.as_array().unwrap().contains(value), "{place}: {value} is not in {rule}"),
            "format" if value.is_null() => {}
            "format" => check_format(rule, value, place),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(document, rule, item, &format!("{place}/{index}"));
                }
            }
            "properties" => {
                for (name, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        check(document, rule, value, &format!("{place}/{name}"));
                    }
                }
            }
            "required" => {
                for name in rule.as_array().unwrap() {
                    assert!(
                        value.get(name.as_str().unwrap()).is_some(),
                        "{place}: {name} is missing in {value}"
                    );
                }
            }
            "additionalProperties" => {
                assert_eq!(rule, false, "{place}");
                for name in value.as_object().unwrap().keys() {
                    assert!(schema["properties"].get(name).is_some(), "{place}: {name} is not described");
                }
            }
            other => panic!("{place}: nobody checks `{other}`"),
        }
    }
}

#[track_caller]
fn check_type(rule: &Value, value: &Value, place: &str) {
    let is_of = |name: &Value| match name.as_str().unwrap() {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{place}: there is no type `{other}`"),
    };
    let is_right = rule.as_array().map_or_else(|| is_of(rule), |names| names.iter().any(is_of));
    assert!(is_right, "{place}: {value} is no {rule}");
}

#[track_caller]
fn check_format(rule: &Value, value: &Value, place: &str) {
    let text = value.as_str().unwrap_or_else(|| panic!("{place}: {value} is no text"));
    let is_right = match rule.as_str().unwrap() {
        "date-time" => DateTime::parse_from_rfc3339(text).is_ok(),
        "uuid" => Uuid::parse_str(text).is_ok(),
        other => panic!("{place}: nobody checks the format `{other}`"),
    };
    assert!(is_right, "{place}: {text} is no {rule}");
}

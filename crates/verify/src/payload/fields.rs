//! Records, whose fields may have other names in stored JSON.

use super::datum::{Datum, difference};
use super::expect::Misfit;
use super::schema::{Field, Record, Schema, Unknown};
use crate::json::{Json, Text};

impl Schema {
    pub(super) fn record(&self, record: &Record, json: &Json) -> Result<Datum, Misfit> {
        let Json::Object(members) = json else { return Err(format!(": {json} is not an object")) };
        let mut fields = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            let value = if field.keeps_unknown {
                kept(record, field, members)
            } else {
                self.field(record, field, members)
            };
            fields.push((field.name.clone(), value.map_err(|text| format!(".{}{text}", field.name))?));
        }
        let unknown = members.iter().find(|(key, _)| !record.knows(key));
        match unknown {
            Some((key, _)) if record.unknown == Unknown::Error => {
                Err(format!(".{}: is not a field of the schema", key.as_deref().unwrap_or("?")))
            }
            _ => Ok(Datum::Record(fields)),
        }
    }

    fn field(&self, record: &Record, field: &Field, members: &[(Text, Json)]) -> Result<Datum, Misfit> {
        let mut found: Option<Datum> = None;
        for (_, json) in members.iter().filter(|(key, _)| field.is_stored_as(key)) {
            let value = self.value(&field.as_type, json, record.unknown)?;
            if found.as_ref().is_some_and(|found| difference(found, &value).is_some()) {
                return Err(": is there under two names, with different values".to_owned());
            }
            found = Some(value);
        }
        match (found, &field.default) {
            (Some(found), _) => Ok(found),
            (None, Some(default)) => self.default(&field.as_type, default),
            (None, None) => Err(": is missing".to_owned()),
        }
    }
}

impl Record {
    fn knows(&self, key: &Text) -> bool {
        self.fields.iter().any(|field| field.is_stored_as(key))
    }
}

impl Field {
    fn is_stored_as(&self, key: &Text) -> bool {
        key.as_ref().is_some_and(|key| self.stored.contains(key))
    }
}

/// The fields that the schema does not have, as their JSON text, and those that were kept before.
fn kept(record: &Record, field: &Field, members: &[(Text, Json)]) -> Result<Datum, Misfit> {
    let mut entries: Vec<(String, Datum)> = Vec::new();
    let mut keep = |key: &Text, text: String| {
        let key = key.clone().unwrap_or_default();
        if entries.iter().any(|(known, _)| *known == key) {
            return Err(format!(".{key}: is there twice"));
        }
        entries.push((key, Datum::Text(text)));
        Ok(())
    };
    for (_, json) in members.iter().filter(|(key, _)| field.is_stored_as(key)) {
        let Json::Object(before) = json else { return Err(format!(": {json} is not an object")) };
        for (key, value) in before {
            let text = value.as_text().ok_or_else(|| format!(": {value} is not a string"))?;
            keep(key, text.to_owned())?;
        }
    }
    for (key, value) in members.iter().filter(|(key, _)| !record.knows(key)) {
        keep(key, value.to_string())?;
    }
    Ok(Datum::Map(entries))
}

//! The value of one line at one place.

use std::borrow::Cow;

use serde_json::Value;

use super::Evaluation;
use super::lists::Items;
use crate::lookup::text_of;
use crate::model::mapping::OmitWhen;
use crate::transform::compose::{Composed, Part};
use crate::transform::fault::{Kind, MappingFault, ValueFault};
use crate::transform::line::{Handling, Origin};
use crate::transform::operation::{Operation, check_length, is_empty};
use crate::transform::path::Step;
use crate::transform::source::FieldRef;

impl<'a> Evaluation<'a> {
    /// The value that a line writes, or none if it leaves its target out.
    pub(super) fn value(&mut self, index: usize) -> Result<Option<Cow<'a, Value>>, MappingFault> {
        let line = &self.lines[index];
        match &line.origin {
            Origin::Field(field, handling) => {
                let found = if field.below().len() == 1 {
                    self.field(field).map(Cow::Borrowed)
                } else {
                    self.gathered(index, field)?.map(Cow::Owned)
                };
                self.handled(index, handling, found)
            }
            Origin::Composed(composed, handling) => {
                let found = self.composed(index, composed)?.map(Cow::Owned);
                self.handled(index, handling, found)
            }
            Origin::Static(_, value) => Ok(Some(Cow::Borrowed(value))),
            Origin::Filter(_) => Ok(None),
        }
    }

    fn field(&self, field: &FieldRef) -> Option<&'a Value> {
        let cursor = self.cursors.get(field.slot).copied().flatten()?;
        self.resolve(cursor, field.below().first()?)
    }

    /// What the line makes of the value that it found.
    fn handled(
        &self,
        index: usize,
        handling: &'a Handling,
        found: Option<Cow<'a, Value>>,
    ) -> Result<Option<Cow<'a, Value>>, MappingFault> {
        let is_missing = found.as_deref().is_none_or(Value::is_null);
        let value = match &handling.default {
            Some(default) if is_missing => Some(Cow::Borrowed(default)),
            _ => handling
                .operations
                .iter()
                .try_fold(found, |value, operation| operation.apply(value))
                .map_err(|fault| self.value_fault(index, fault))?,
        };
        if handling.required && handling.default.is_none() && value.as_deref().is_none_or(Value::is_null) {
            let driver = self.lines[index].driver();
            return Err(MappingFault::Missing {
                target: self.target(index),
                origin: match (&self.lines[index].origin, driver) {
                    (Origin::Composed(composed, _), _) => composed
                        .fields()
                        .next()
                        .map_or_else(String::new, |field| field.path.at(&self.places)),
                    (_, Some(field)) => field.path.at(&self.places),
                    (_, None) => String::new(),
                },
            });
        }
        Ok(value.filter(|value| match handling.omit {
            OmitWhen::Absent => true,
            OmitWhen::Null => !value.is_null(),
            OmitWhen::Empty => !is_empty(value),
        }))
    }

    /// The values of all items in the lists that the target does not repeat for, as one list. Absent if the outermost list
    /// is.
    fn gathered(&mut self, index: usize, field: &'a FieldRef) -> Result<Option<Value>, MappingFault> {
        let Some(cursor) = self.cursors.get(field.slot).copied().flatten() else {
            return Ok(None);
        };
        let mut values = Vec::new();
        let found = self.gather(index, field, cursor, field.below(), &mut values)?;
        Ok(found.then_some(Value::Array(values)))
    }

    fn gather(
        &mut self,
        index: usize,
        field: &FieldRef,
        value: &'a Value,
        segments: &'a [Vec<Step>],
        values: &mut Vec<Value>,
    ) -> Result<bool, MappingFault> {
        let Some((steps, inner)) = segments.split_first() else {
            return Ok(true);
        };
        if inner.is_empty() {
            self.step()?;
            if let (Some(found), Some(operation)) = (self.resolve(value, steps), self.first_operation(index)) {
                operation.gather(found, values);
            }
            return Ok(true);
        }
        match self.items(value, steps) {
            Items::Absent => Ok(false),
            Items::NotAList(found) => Err(MappingFault::NotAList {
                target: self.target(index),
                origin: field.path.list_at(field.path.lists() - inner.len(), &self.places),
                found,
            }),
            Items::Some(items) => {
                for item in items {
                    self.step()?;
                    self.gather(index, field, item, inner, values)?;
                }
                Ok(true)
            }
        }
    }

    fn first_operation(&self, index: usize) -> Option<&'a Operation> {
        self.lines[index].handling()?.operations.first()
    }

    /// The text that a template or concatenation makes; absent if it has fields and none of them has a value.
    fn composed(&mut self, index: usize, composed: &'a Composed) -> Result<Option<Value>, MappingFault> {
        let mut text = String::new();
        let (mut fields, mut found, mut wrote) = (0, 0, false);
        for part in &composed.parts {
            let field = match part {
                Part::Text(plain) => {
                    text.push_str(plain);
                    continue;
                }
                Part::Field(field) => field,
            };
            fields += 1;
            let value = self.field(field).filter(|value| !value.is_null());
            let Some(value) = value else { continue };
            let part = text_of(value).ok_or_else(|| {
                let operation = if composed.separator.is_some() {
                    "concat"
                } else {
                    "template"
                };
                let fault = ValueFault::WrongKind {
                    operation,
                    needs: "texts, numbers or booleans",
                    found: Kind::of(value),
                };
                self.value_fault(index, fault)
            })?;
            if part.is_empty() && composed.separator.is_some() {
                continue;
            }
            found += 1;
            if let Some(separator) = composed.separator.as_deref().filter(|_| wrote) {
                text.push_str(separator);
            }
            wrote = true;
            text.push_str(&part);
            check_length(text.len(), "template").map_err(|fault| self.value_fault(index, fault))?;
        }
        self.step()?;
        Ok((fields == 0 || found > 0).then_some(Value::String(text)))
    }

    fn value_fault(&self, index: usize, fault: ValueFault) -> MappingFault {
        MappingFault::Value {
            target: self.target(index),
            fault,
        }
    }
}

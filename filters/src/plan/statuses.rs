//! Which status a client gets for which of the partner's.

use http::StatusCode;

use crate::delivery::classify::{Statuses, read_status};
use crate::model::Problem;
use crate::model::problem::join;
use crate::model::status_mapping::StatusMapping;
use crate::transform::is_answer;

/// A table of statuses.
#[derive(Debug)]
pub struct StatusMap {
    statuses: Box<[(u16, StatusCode)]>,
    /// By the first digit.
    classes: [Option<StatusCode>; 6],
}

impl StatusMap {
    /// Checks the lines at `path`, adding their problems; `None` if there is none.
    pub(crate) fn compile(lines: &[StatusMapping], path: &str, problems: &mut Vec<Problem>) -> Option<Box<Self>> {
        if lines.is_empty() {
            return None;
        }
        let mut statuses: Vec<(u16, StatusCode)> = Vec::new();
        let mut classes = [None; 6];
        for (index, line) in lines.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if line.statuses.is_empty() {
                problems.push(Problem::new(join(&path, "statuses"), "is empty: name a status"));
            }
            let status = StatusCode::from_u16(line.status)
                .ok()
                .filter(|_| is_answer(line.status));
            let Some(status) = status else {
                let message = format!(
                    "{} must be between 200 and 599, and none of 204, 205 and 304",
                    line.status
                );
                problems.push(Problem::new(join(&path, "status"), message));
                continue;
            };
            for (place, text) in line.statuses.iter().enumerate() {
                let known = match read_status(text) {
                    Ok(Statuses::One(from)) if is_answer(from) => {
                        let known = statuses.iter().any(|(other, _)| *other == from);
                        statuses.push((from, status));
                        known
                    }
                    Ok(Statuses::One(_)) => {
                        let message = format!("`{text}` is of answers without a body, which stay as they are");
                        problems.push(Problem::new(format!("{path}.statuses[{place}]"), message));
                        false
                    }
                    Ok(Statuses::Class(class)) => classes
                        .get_mut(class + 1)
                        .is_some_and(|known: &mut Option<StatusCode>| known.replace(status).is_some()),
                    Err(message) => {
                        problems.push(Problem::new(format!("{path}.statuses[{place}]"), message));
                        false
                    }
                };
                if known {
                    let message = format!("`{text}` is there twice; each status may become one other");
                    problems.push(Problem::new(format!("{path}.statuses[{place}]"), message));
                }
            }
        }
        statuses.sort_unstable_by_key(|(status, _)| *status);
        Some(Box::new(Self {
            statuses: statuses.into(),
            classes,
        }))
    }

    /// What a client gets for the partner's `status`. Those of answers without a body stay as they are.
    pub fn of(&self, status: StatusCode) -> StatusCode {
        let number = status.as_u16();
        if !is_answer(number) {
            return status;
        }
        match self.statuses.binary_search_by_key(&number, |(from, _)| *from) {
            Ok(at) => self.statuses[at].1,
            Err(_) => {
                let class = self.classes.get(usize::from(number / 100)).copied().flatten();
                class.unwrap_or(status)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compiled(lines: serde_json::Value) -> Result<Box<StatusMap>, Vec<String>> {
        let lines: Vec<StatusMapping> = serde_json::from_value(lines).unwrap();
        let mut problems = Vec::new();
        let map = StatusMap::compile(&lines, "m", &mut problems);
        if problems.is_empty() {
            Ok(map.unwrap())
        } else {
            Err(problems.iter().map(ToString::to_string).collect())
        }
    }

    #[test]
    fn a_status_comes_before_its_class() {
        let map = compiled(json!([
            {"statuses": ["5xx", "429"], "status": 503}, {"statuses": ["501", "404"], "status": 200}
        ]))
        .unwrap();
        for (from, to) in [
            (500, 503),
            (429, 503),
            (501, 200),
            (404, 200),
            (400, 400),
            (200, 200),
            (204, 204),
            (101, 101),
        ] {
            assert_eq!(map.of(StatusCode::from_u16(from).unwrap()).as_u16(), to, "{from}");
        }
    }

    #[test]
    fn lines_that_say_nothing_useful_are_refused() {
        let found = compiled(json!([
            {"statuses": ["404", "404", "6xx"], "status": 200}, {"statuses": [], "status": 200}, {"statuses": ["400"], "status": 204},
            {"statuses": ["204"], "status": 200}, {"statuses": ["5xx", "5xx"], "status": 502}
        ]))
        .unwrap_err();
        for (problem, expected) in found.iter().zip([
            "m[0].statuses[1]: `404` is there twice",
            "m[0].statuses[2]",
            "m[1].statuses: is empty",
            "m[2].status: 204 must be between 200 and 599",
            "m[3].statuses[0]: `204` is of answers without a body",
            "m[4].statuses[1]: `5xx` is there twice",
        ]) {
            assert!(problem.starts_with(expected), "{problem}");
        }
        assert_eq!(found.len(), 6, "{found:?}");
    }
}

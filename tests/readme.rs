//! What README.md promises is what the code does.

use openim_bridge::{
    decision::ErrorClass,
    openim::{BadRequest, ReservedCode},
};

const README: &str = include_str!("../README.md");

/// The rows of the tables under a headline that begin with a reserved code, as cells.
fn coded_rows(headline: &str) -> Vec<Vec<&'static str>> {
    let section = README.split("\n## ").find(|section| section.starts_with(headline)).expect(headline);
    let rows = section.lines().filter(|line| line.starts_with("| 99"));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn the_table_of_bad_requests_is_complete_and_in_the_order_of_checking() {
    // A code that several kinds share has its row where the last of them is checked, 9901's all being neighbours.
    let mut expected: Vec<(ReservedCode, String)> = Vec::new();
    for bad in BadRequest::ALL {
        expected.retain(|(code, _)| *code != bad.code());
        expected.push((bad.code(), bad.status().as_str().to_owned()));
    }
    let expected: Vec<String> = expected.iter().map(|(code, status)| format!("{} {status}", *code as i32)).collect();
    let rows = coded_rows("Requests that are turned away");
    assert_eq!(rows.iter().map(|row| row[..2].join(" ")).collect::<Vec<_>>(), expected);
}

#[test]
fn the_table_of_fallbacks_has_every_class_with_its_code() {
    let expected = ErrorClass::ALL.map(|class| format!("{} 200 `{class}`", class.code() as i32));
    let rows = coded_rows("The fallback");
    assert_eq!(rows.iter().map(|row| row[..3].join(" ")).collect::<Vec<_>>(), expected);
}

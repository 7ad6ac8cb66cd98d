//! A report as JUnit XML, which CI systems read.

use anyhow::Context as _;
use quick_junit::{NonSuccessKind, Report as Xml, TestCase, TestCaseStatus, TestSuite};

use crate::check::{CaseReport, CaseVerdict, CheckReport};

/// The name of the suite, and the class of the cases that are of no callback.
const SUITE: &str = "openim-bridge check";

pub(super) fn xml(report: &CheckReport) -> anyhow::Result<String> {
    let mut suite = TestSuite::new(SUITE);
    suite.add_property(("upstream", &*report.upstream));
    if let Some(why) = &report.unreachable {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(&**why).set_type("unreachable");
        suite.add_test_case(case("connects", status));
    }
    suite.add_test_cases(report.cases.iter().map(of));
    let mut xml = Xml::new(SUITE);
    xml.add_test_suite(suite);
    xml.to_string().context("cannot write JUnit XML")
}

fn of(report: &CaseReport) -> TestCase {
    let status = match &report.verdict {
        CaseVerdict::Passed(_) | CaseVerdict::Advice(_) => TestCaseStatus::success(),
        CaseVerdict::Failed(seen) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let description = format!("{}\n\nseen: {seen}\nwhy: {}\ndo: {}\n", report.shows, report.why, report.remedy);
            status.set_message(&**seen).set_type("conformance").set_description(description);
            status
        }
        CaseVerdict::Skipped(because) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(&**because);
            status
        }
    };
    let mut case = case(&report.name, status);
    case.set_classname(report.callback.unwrap_or(SUITE));
    case.set_time(report.took);
    if let CaseVerdict::Passed(seen) | CaseVerdict::Advice(seen) = &report.verdict {
        case.set_system_out(format!("{}: {seen}", report.verdict.into_str()));
    }
    case
}

fn case(name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(SUITE);
    case
}

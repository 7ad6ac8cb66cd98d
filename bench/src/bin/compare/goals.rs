//! What the bridge is meant to reach, as ratios within one run where the machine would decide otherwise; and what it did.

use std::fmt;

use serde::Serialize;

use crate::{
    figures::Figure,
    lab::Scenario,
    scenario::{
        self, CHAT_HTTP, CHAT_HTTPS, ECHO, HUNG, IDLE, KEEP_ALIVE, MESSAGE, MESSAGE_4K, MODIFY, NEW_CONNECTION,
        OPEN_LOOP, OPENIM_HTTP, OPENIM_HTTPS, PUSH, START, WORKERS,
    },
};
use openim_bridge_bench::contender::{ASKING, BRIDGE, BY_HAND, Contender, ENVOY, FLOOR, NGINX};

/// Those with a load of callbacks.
static LOADS: [&Scenario; 13] = [
    &KEEP_ALIVE,
    &MESSAGE,
    &MESSAGE_4K,
    &MODIFY,
    &ECHO,
    &NEW_CONNECTION,
    &OPENIM_HTTP,
    &OPENIM_HTTPS,
    &CHAT_HTTP,
    &CHAT_HTTPS,
    &PUSH,
    &OPEN_LOOP,
    &IDLE,
];

/// Those whose CPU time is held against the floor's, and how much of it may be taken.
static OF_THE_FLOOR: [(&Scenario, f64); 10] = [
    (&KEEP_ALIVE, 0.8),
    (&MESSAGE, 0.85),
    (&MESSAGE_4K, 0.85),
    (&MODIFY, 0.85),
    (&ECHO, 0.85),
    (&NEW_CONNECTION, 0.85),
    (&OPENIM_HTTP, 0.85),
    (&OPENIM_HTTPS, 0.85),
    (&CHAT_HTTP, 0.85),
    (&CHAT_HTTPS, 0.85),
];

/// Those whose peak is that of the full load.
static FULL_LOAD: [&Scenario; 5] = [&KEEP_ALIVE, &NEW_CONNECTION, &OPENIM_HTTP, &OPENIM_HTTPS, &OPEN_LOOP];

/// What a goal asks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// One goal, and what was reached.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) bound: Bound,
    /// `None` where a figure that it needs is void or was not measured.
    pub(crate) reached: Option<f64>,
}

/// Where the medians come from.
pub(crate) trait Medians {
    fn median(&self, scenario: &Scenario, contender: &Contender, figure: Figure) -> Option<f64>;
    /// The bridge's program, in MB.
    fn bridge_size(&self) -> Option<f64>;
}

impl Bound {
    fn holds(self, reached: f64) -> bool {
        match self {
            Self::AtMost(most) => reached <= most,
            Self::AtLeast(least) => reached >= least,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::AtLeast(least) => write!(f, "at least {least}"),
        }
    }
}

impl Goal {
    /// `None` where nothing was reached.
    pub(crate) fn is_met(&self) -> Option<bool> {
        Some(self.bound.holds(self.reached?))
    }

    /// For tables.
    pub(crate) fn verdict(&self) -> &'static str {
        match self.is_met() {
            Some(true) => "met",
            Some(false) => "missed",
            None => "not measured",
        }
    }
}

/// Of a bridge that asks the decision service.
pub(crate) fn asking(medians: &dyn Medians) -> Vec<Goal> {
    let bridge = |scenario: &Scenario, figure| medians.median(scenario, &BRIDGE, figure);
    let mut goals = Vec::new();
    let mut goal = |what: String, unit, bound, reached| goals.push(Goal { what, unit, bound, reached });

    for (scenario, most) in OF_THE_FLOOR {
        let reached = ratio(bridge(scenario, Figure::CpuUs), medians.median(scenario, &FLOOR, Figure::CpuUs));
        goal(format!("CPU, {}: of {}'s", scenario.name, FLOOR.title), "x", Bound::AtMost(most), reached);
    }
    for other in [&ENVOY, &BY_HAND] {
        for scenario in LOADS {
            // The kernel's part of making a connection is the same for all.
            let least = if scenario.name == NEW_CONNECTION.name { 1.85 } else { 2.5 };
            let reached = ratio(medians.median(scenario, other, Figure::CpuUs), bridge(scenario, Figure::CpuUs));
            goal(
                format!("CPU, {}: {}'s, of the bridge's", scenario.name, other.title),
                "x",
                Bound::AtLeast(least),
                reached,
            );
        }
    }
    for (figure, name) in [(Figure::P50Us, "p50"), (Figure::P99Us, "p99")] {
        for scenario in LOADS {
            let others = ASKING.iter().filter(|contender| !contender.is_bridge());
            let best = least(others.map(|contender| medians.median(scenario, contender, figure)));
            // What comes one after the other comes as fast as it is answered.
            let most = if scenario.name == PUSH.name && figure == Figure::P50Us { 0.8 } else { 1.0 };
            let reached = ratio(bridge(scenario, figure), best);
            goal(format!("{name}, {}: of the best other's", scenario.name), "x", Bound::AtMost(most), reached);
        }
    }
    goal("memory, idle: the peak".to_owned(), "MB", Bound::AtMost(9.0), bridge(&START, Figure::PeakMb));
    let peak = most(FULL_LOAD.iter().map(|scenario| bridge(scenario, Figure::PeakMb)));
    goal("memory, under the full load: the peak".to_owned(), "MB", Bound::AtMost(12.0), peak);
    goal("the program's file, stripped".to_owned(), "MB", Bound::AtMost(13.0), medians.bridge_size());
    goal(
        "from its start to its first good answer".to_owned(),
        "ms",
        Bound::AtMost(15.0),
        bridge(&START, Figure::StartMs),
    );
    goal("hung: p99 after the deadline".to_owned(), "ms", Bound::AtMost(15.0), bridge(&HUNG, Figure::LateP99Ms));
    goal("hung: the last after the deadline".to_owned(), "ms", Bound::AtMost(25.0), bridge(&HUNG, Figure::LateLastMs));
    goal("hung: peak memory".to_owned(), "MB", Bound::AtMost(25.0), bridge(&HUNG, Figure::PeakMb));
    let growth = bridge(&IDLE, Figure::CpuGrowth);
    goal("CPU with 10,000 idle connections: of that with none".to_owned(), "x", Bound::AtMost(1.05), growth);
    // Two cores then do at least 1.7 times what one does.
    let growth = bridge(&WORKERS, Figure::CpuGrowth);
    goal("CPU with two workers: of that with one".to_owned(), "x", Bound::AtMost(1.18), growth);
    let peak = bridge(&IDLE, Figure::PeakMb);
    goal("memory with 10,000 idle connections: the peak".to_owned(), "MB", Bound::AtMost(90.0), peak);
    goals
}

/// Of a bridge that passes requests on.
pub(crate) fn forwarding(medians: &dyn Medians) -> Vec<Goal> {
    let goal = |(scenario, other, most): (&Scenario, &Contender, f64)| {
        let cpu = |contender| medians.median(scenario, contender, Figure::CpuUs);
        let what = format!("CPU, {}: of {}'s", scenario.name, other.title);
        Goal { what, unit: "x", bound: Bound::AtMost(most), reached: ratio(cpu(&BRIDGE), cpu(other)) }
    };
    let goals = scenario::FORWARDING.map(|scenario| [(scenario, &NGINX, 1.3), (scenario, &ENVOY, 1.0)]);
    goals.into_iter().flatten().map(goal).collect()
}

fn ratio(of: Option<f64>, to: Option<f64>) -> Option<f64> {
    Some(of? / to?)
}

/// The least of what there is.
fn least(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.flatten().reduce(f64::min)
}

/// The most, if all are there.
fn most(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.collect::<Option<Vec<_>>>()?.into_iter().reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same for every scenario, but for what is asked for.
    struct Same(fn(&Scenario, &Contender, Figure) -> Option<f64>);

    impl Medians for Same {
        fn median(&self, scenario: &Scenario, contender: &Contender, figure: Figure) -> Option<f64> {
            (self.0)(scenario, contender, figure)
        }

        fn bridge_size(&self) -> Option<f64> {
            Some(12.0)
        }
    }

    fn verdict(medians: fn(&Scenario, &Contender, Figure) -> Option<f64>, what: &str) -> &'static str {
        let goals = [asking(&Same(medians)), forwarding(&Same(medians))].concat();
        let goal = goals.iter().find(|goal| goal.what == what).unwrap_or_else(|| panic!("no goal {what}"));
        goal.verdict()
    }

    #[test]
    fn the_bridge_s_cpu_is_held_against_the_floor_s() {
        let what = "CPU, keep-alive: of axum + tonic's";
        let at_the_bound =
            |_: &Scenario, contender: &Contender, _| Some(if contender.is_bridge() { 16.0 } else { 20.0 });
        assert_eq!(verdict(at_the_bound, what), "met", "0.80 is allowed");
        let dearer = |_: &Scenario, contender: &Contender, _| Some(if contender.is_bridge() { 16.1 } else { 20.0 });
        assert_eq!(verdict(dearer, what), "missed");
        assert_eq!(verdict(dearer, "CPU, chat-https: of axum + tonic's"), "met", "0.85 is asked");
        let no_floor = |_: &Scenario, contender: &Contender, _| (contender.name != FLOOR.name).then_some(20.0);
        assert_eq!(verdict(no_floor, what), "not measured");
    }

    #[test]
    fn passing_on_may_cost_a_third_more_than_nginx_and_no_more_than_envoy() {
        let nginx_and_envoy = |_: &Scenario, contender: &Contender, _| {
            Some(if contender.is_bridge() {
                12.9
            } else if contender.name == NGINX.name {
                10.0
            } else {
                12.0
            })
        };
        assert_eq!(verdict(nginx_and_envoy, "CPU, forward: of nginx's"), "met");
        assert_eq!(verdict(nginx_and_envoy, "CPU, forward: of Envoy's"), "missed");
    }

    #[test]
    fn others_must_cost_so_many_times_as_much() {
        let twice = |_: &Scenario, contender: &Contender, _| Some(if contender.is_bridge() { 20.0 } else { 40.0 });
        assert_eq!(verdict(twice, "CPU, new-connection: hand-written Go's, of the bridge's"), "met", "1.85 is asked");
        assert_eq!(verdict(twice, "CPU, modify: hand-written Go's, of the bridge's"), "missed", "2.5 is asked");
        assert_eq!(verdict(twice, "CPU, openim-https: Envoy's, of the bridge's"), "missed", "2.5 is asked");
    }

    #[test]
    fn latency_is_held_against_the_best_of_the_others() {
        let what = "p99, new-connection: of the best other's";
        let envoy =
            |_: &Scenario, contender: &Contender, _| Some(if contender.name == ENVOY.name { 90.0 } else { 100.0 });
        assert_eq!(verdict(envoy, what), "missed");
        let bridge = |_: &Scenario, contender: &Contender, _| Some(if contender.is_bridge() { 90.0 } else { 100.0 });
        assert_eq!(verdict(bridge, what), "met", "it is itself the best");
        assert_eq!(verdict(|_, _, _| Some(100.0), what), "met", "as good is no worse");
        assert_eq!(verdict(bridge, "p50, push: of the best other's"), "missed", "0.8 is asked");
        assert_eq!(verdict(bridge, "p99, push: of the best other's"), "met", "of p50 alone");
        let alone = |_: &Scenario, contender: &Contender, _| contender.is_bridge().then_some(90.0);
        assert_eq!(verdict(alone, what), "not measured", "the best of one");
    }

    #[test]
    fn the_peak_under_load_is_the_highest_and_needs_all() {
        let what = "memory, under the full load: the peak";
        let one_high =
            |scenario: &Scenario, _: &Contender, _| Some(if scenario.name == OPEN_LOOP.name { 12.1 } else { 9.0 });
        assert_eq!(verdict(one_high, what), "missed");
        let one_void = |scenario: &Scenario, _: &Contender, _| (scenario.name != OPEN_LOOP.name).then_some(9.0);
        assert_eq!(verdict(one_void, what), "not measured");
        assert_eq!(verdict(|_, _, _| None, "the program's file, stripped"), "met");
    }
}

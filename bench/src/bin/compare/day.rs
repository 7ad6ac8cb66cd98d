//! What a big installation takes, by calculation from what was measured: how many cores, bridges, connections and bytes, and
//! what the decision service must do.
//!
//! A message has five callbacks, as in the scenario `chat-http`: three that are decided, and two that are delivered. The
//! figures are per message, so what they grow with is the rate alone. That rests on checks, which stand beside the table.

use serde::Serialize;

use openim_bridge_bench::{contender::BRIDGE, table::Table};

use crate::{
    figures::Figure,
    goals::Medians,
    lab::Scenario,
    scenario::{CHAT_HTTP, ENDPOINTS, HUNG, IDLE, IDLE_CONNECTIONS, KEEP_ALIVE, OPEN_LOOP, OUTSTANDING, START},
};

/// Callbacks of a message: decided before it goes on, and delivered after.
const DECIDED: f64 = 3.0;
const DELIVERED: f64 = 2.0;

/// Messages a second.
const RATES: [f64; 3] = [1e3, 1e4, 1e5];

/// How much of a core a worker is to use at most: the chart's `autoscaling.targetCPUUtilizationPercentage`.
const TARGET: f64 = 0.7;
/// Bridges, whatever the load: the chart's `autoscaling.minReplicas`.
const FEWEST: f64 = 2.0;
/// What the decision service takes for a callback, in seconds.
const TAKES: f64 = 0.005;

/// Defaults of the bridge: `limits.in_flight`, and of `delivery.concurrency` what one callback has.
const IN_FLIGHT: f64 = 1024.0;
const DELIVERIES_OF_ONE: f64 = 32.0;

const SECONDS_OF_A_DAY: f64 = 86_400.0;

/// What was measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Measured {
    /// CPU time for a message, in seconds: with all to do that one core can, and how many times that with little to do.
    busy: f64,
    idling: f64,
    /// Bytes that a bridge holds under load, that each connection adds and each callback in flight.
    base: f64,
    connection: f64,
    callback: f64,
    /// CPU time of the smallest decision service for a callback, in seconds.
    service: f64,
}

/// One rate, and what it takes. Of two figures the first is for a busy bridge, the second for one with little to do.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    rate: f64,
    cores: [f64; 2],
    bridges: [f64; 2],
    /// Of each bridge, where there are the fewest.
    bytes: f64,
    /// In use, of all bridges.
    connections: f64,
    /// The decision service's calls in flight, and its cores at least.
    calls: f64,
    service_cores: f64,
    /// The longest that it may take for a decision and for an event before a bridge's limits are reached, in seconds, where
    /// there are the fewest bridges.
    decision: f64,
    event: f64,
}

/// What holds where the calculation does, and whether it did.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Check {
    what: &'static str,
    measured: f64,
    most: f64,
}

/// The calculation, and what it rests on.
#[derive(Debug, Serialize)]
pub(crate) struct Day {
    measured: Measured,
    /// Messages a second of one bridge.
    one_bridge: [f64; 2],
    rows: Vec<Row>,
    checks: Vec<Check>,
}

impl Day {
    /// `None` where a figure that it needs is void or was not measured.
    pub(crate) fn of(medians: &dyn Medians) -> Option<Self> {
        let bridge = |scenario: &Scenario, figure| medians.median(scenario, &BRIDGE, figure);
        let measured = Measured {
            busy: bridge(&CHAT_HTTP, Figure::MessageCpuUs)? / 1e6,
            idling: bridge(&OPEN_LOOP, Figure::CpuUs)? / bridge(&KEEP_ALIVE, Figure::CpuUs)?,
            base: bridge(&CHAT_HTTP, Figure::PeakMb)? * 1e6,
            connection: (bridge(&IDLE, Figure::PeakMb)? - bridge(&KEEP_ALIVE, Figure::PeakMb)?) * 1e6
                / f64::from(IDLE_CONNECTIONS),
            callback: (bridge(&HUNG, Figure::PeakMb)? - bridge(&START, Figure::PeakMb)?) * 1e6 / f64::from(OUTSTANDING),
            service: bridge(&CHAT_HTTP, Figure::ServiceCpuUs)? / 1e6,
        };
        let checks = vec![
            Check {
                what: "a callback's CPU beside 10,000 idle connections, of that beside none",
                measured: bridge(&IDLE, Figure::CpuGrowth)?,
                most: 1.1,
            },
            Check {
                what: "a callback's CPU with 100 endpoints of the decision service, of the growth that is reckoned with",
                measured: bridge(&ENDPOINTS, Figure::CpuGrowth)? / measured.idling,
                most: 1.0,
            },
        ];
        let rows = RATES.map(|rate| measured.at(rate)).to_vec();
        Some(Self { one_bridge: measured.each(|cost| TARGET / cost), measured, rows, checks })
    }

    /// For a page.
    pub(crate) fn markdown(&self) -> String {
        let [busy, idling] = self.one_bridge;
        let Measured { busy: cost, idling: times, base, connection, callback, .. } = self.measured;
        let mut bridges = Table::new([
            "messages/s",
            "messages a day",
            "callbacks/s",
            "cores",
            "bridges",
            "memory of each (MB)",
            "connections in use",
        ]);
        let mut service = Table::new([
            "messages/s",
            "decisions/s",
            "events/s",
            "calls in flight",
            "cores, at least",
            "longest decision (ms)",
            "longest event (ms)",
        ]);
        for row in &self.rows {
            bridges.row([
                whole(row.rate),
                whole(row.rate * SECONDS_OF_A_DAY / 1e6) + " million",
                whole(row.rate * (DECIDED + DELIVERED)),
                range(row.cores.map(|cores| format!("{cores:.1}"))),
                range(row.bridges.map(whole)),
                whole(row.bytes / 1e6),
                whole(row.connections),
            ]);
            service.row([
                whole(row.rate),
                whole(row.rate * DECIDED),
                whole(row.rate * DELIVERED),
                whole(row.calls),
                format!("{:.1}", row.service_cores),
                whole(row.decision * 1e3),
                whole(row.event * 1e3),
            ]);
        }
        let mut checks = Table::new(["it rests on", "measured", "asked", "result"]);
        for Check { what, measured, most } in &self.checks {
            let result = if measured <= most { "holds" } else { "does not hold" };
            checks.row([(*what).to_owned(), format!("{measured:.2}"), format!("at most {most}"), result.to_owned()]);
        }
        format!(
            "Measured: a message takes {:.0} µs of CPU in a busy bridge (`chat-http`) and up to {times:.1} times as much in \
             one with little to do (`open-loop`, of `keep-alive`), where callbacks share no system call. A bridge holds \
             {:.0} MB under load (`chat-http`), {:.1} KB more for each connection (`idle`) and {:.1} KB more for each \
             callback in flight (`hung`).\n\n{}\nOne bridge with one worker takes {} to {} messages a second at {:.0} % of \
             a core.\n\n{}\n{}",
            cost * 1e6,
            base / 1e6,
            connection / 1e3,
            callback / 1e3,
            bridges.markdown(),
            whole(idling),
            whole(busy),
            TARGET * 100.0,
            service.markdown(),
            checks.markdown(),
        )
    }
}

impl Measured {
    /// For a busy bridge, and for one with little to do, by what a message costs.
    fn each(&self, figure: impl Fn(f64) -> f64) -> [f64; 2] {
        [self.busy, self.busy * self.idling].map(figure)
    }

    fn at(&self, rate: f64) -> Row {
        let bridges = self.each(|cost| (rate * cost / TARGET).ceil().max(FEWEST));
        let [fewest, _] = bridges;
        // By Little's law: what comes in a second, for as long as it stays.
        let waiting = rate * DECIDED * TAKES;
        let calls = waiting + rate * DELIVERED * TAKES;
        let of_each = rate / fewest;
        Row {
            rate,
            cores: self.each(|cost| rate * cost),
            bridges,
            bytes: self.base + (waiting * self.connection + calls * self.callback) / fewest,
            connections: waiting,
            calls,
            service_cores: rate * (DECIDED + DELIVERED) * self.service,
            decision: IN_FLIGHT / (of_each * DECIDED),
            event: DELIVERIES_OF_ONE / of_each,
        }
    }
}

/// With commas.
fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn range([least, most]: [String; 2]) -> String {
    if least == most { least } else { format!("{least} to {most}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openim_bridge_bench::contender::Contender;

    /// A bridge that takes 100 µs for a message, and twice that with little to do.
    struct Invented {
        without: Option<&'static str>,
        endpoints: f64,
    }

    impl Medians for Invented {
        fn median(&self, scenario: &Scenario, contender: &Contender, figure: Figure) -> Option<f64> {
            assert!(contender.is_bridge(), "it is reckoned for the bridge alone");
            if self.without == Some(scenario.name) {
                return None;
            }
            let known = [
                (&CHAT_HTTP, Figure::MessageCpuUs, 100.0),
                (&CHAT_HTTP, Figure::PeakMb, 14.0),
                (&CHAT_HTTP, Figure::ServiceCpuUs, 8.0),
                (&OPEN_LOOP, Figure::CpuUs, 24.0),
                (&KEEP_ALIVE, Figure::CpuUs, 12.0),
                (&KEEP_ALIVE, Figure::PeakMb, 10.0),
                (&IDLE, Figure::PeakMb, 90.0),
                (&IDLE, Figure::CpuGrowth, 1.02),
                (&HUNG, Figure::PeakMb, 24.0),
                (&START, Figure::PeakMb, 8.0),
                (&ENDPOINTS, Figure::CpuGrowth, self.endpoints),
            ];
            let found = known.iter().find(|(of, what, _)| of.name == scenario.name && *what == figure);
            Some(found.unwrap_or_else(|| panic!("{} {figure:?}", scenario.name)).2)
        }

        fn bridge_size(&self) -> Option<f64> {
            None
        }
    }

    fn day(endpoints: f64) -> Day {
        Day::of(&Invented { without: None, endpoints }).expect("all was measured")
    }

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9 * other.abs()
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "whole numbers")]
    fn cores_and_bridges_follow_from_what_a_message_costs() {
        let day = day(1.5);
        assert!(
            close(day.one_bridge[0], 7_000.0) && close(day.one_bridge[1], 3_500.0),
            "0.7 s, of 100 and 200 us each"
        );
        let [small, middle, big] = &day.rows[..] else { panic!("three rates") };
        assert!(close(small.cores[0], 0.1) && close(small.cores[1], 0.2));
        assert_eq!(small.bridges, [2.0, 2.0], "for one to be there while another is replaced");
        assert_eq!(middle.bridges, [2.0, 3.0]);
        assert_eq!(big.bridges, [15.0, 29.0], "10 and 20 cores, of which each bridge uses 0.7");
    }

    #[test]
    fn what_is_in_flight_follows_from_the_rate_and_from_how_long_it_takes() {
        let day = day(1.5);
        let big = &day.rows[2];
        assert!(close(big.connections, 1_500.0), "100,000 a second, 3 decisions of 5 ms");
        assert!(close(big.calls, 2_500.0), "and 2 events of 5 ms");
        // Of 15 bridges: 100 connections of 8,000 bytes each, and 166.7 callbacks of 16,000.
        assert!(close(big.bytes, 14e6 + 100.0 * 8_000.0 + 2_500.0 / 15.0 * 16_000.0), "{}", big.bytes);
        assert!(close(big.service_cores, 4.0), "500,000 of 8 us");
    }

    #[test]
    fn the_service_s_time_is_bounded_by_what_a_bridge_has_in_flight() {
        let day = day(1.5);
        let small = &day.rows[0];
        assert!(close(small.event, 0.064), "32 of 500 a second");
        assert!(close(small.decision, 1024.0 / 1500.0), "1,024 of 3 times 500 a second");
    }

    #[test]
    fn it_says_where_what_it_rests_on_does_not_hold() {
        assert!(!day(2.0).markdown().contains("does not hold"), "as much as is reckoned with");
        assert!(day(2.1).markdown().contains("| 1.05 | at most 1 | does not hold |"));
    }

    #[test]
    fn nothing_is_reckoned_from_what_is_void() {
        for scenario in [&CHAT_HTTP, &OPEN_LOOP, &KEEP_ALIVE, &IDLE, &HUNG, &START, &ENDPOINTS] {
            assert!(Day::of(&Invented { without: Some(scenario.name), endpoints: 1.5 }).is_none(), "{}", scenario.name);
        }
    }

    #[test]
    fn the_page_has_a_row_for_each_rate_and_a_range_for_both_costs() {
        let page = day(1.5).markdown();
        assert!(page.contains("takes 3,500 to 7,000 messages a second at 70 % of a core"), "{page}");
        assert!(
            page.contains("| 100,000 | 8,640 million | 500,000 | 10.0 to 20.0 | 15 to 29 | 17 | 1,500 |"),
            "{page}"
        );
        assert!(page.contains("| 1,000 | 3,000 | 2,000 | 25 | 0.0 | 683 | 64 |"), "{page}");
    }
}

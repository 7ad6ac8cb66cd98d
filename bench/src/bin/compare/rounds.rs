//! Rounds: each scenario over all contenders, then the next; in another order each time, so that whatever the machine does
//! meanwhile befalls all alike.

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;

use crate::{
    figures::Cell,
    lab::{Lab, Scenario},
};
use openim_bridge_bench::contender::Contender;

/// A scenario's row for each contender that takes it.
pub(crate) struct Results {
    pub(crate) scenario: &'static Scenario,
    pub(crate) cells: Vec<(&'static Contender, Cell)>,
}

impl Results {
    pub(crate) fn cell(&self, contender: &Contender) -> Option<&Cell> {
        self.cells.iter().find(|(of, _)| of.name == contender.name).map(|(_, cell)| cell)
    }
}

/// Runs all, and says on standard error how far it is.
pub(crate) async fn run(
    lab: &mut Lab,
    scenarios: &[&'static Scenario],
    contenders: &[&'static Contender],
) -> anyhow::Result<Vec<Results>> {
    let mut all: Vec<Results> = scenarios.iter().map(|scenario| results(scenario, contenders)).collect();
    let rounds = lab.effort.rounds;
    let is_watched = io::stderr().is_terminal();
    for round in 0..rounds {
        for (number, results) in all.iter_mut().enumerate() {
            let cells = results.cells.len();
            for place in rotated(cells, round as usize + number) {
                let (contender, cell) = &mut results.cells[place];
                if is_watched {
                    let name = results.scenario.name;
                    eprint!("round {} of {rounds}: {name}, {} ...\x1b[K\r", round + 1, contender.name);
                }
                let measured = (results.scenario.run)(lab, contender).await;
                if let Err(error) = &measured {
                    eprintln!("{} {}: VOID: {error:#}", results.scenario.name, contender.name);
                }
                cell.add(measured);
                if let Some(status) = lab.service.ended()? {
                    return Err(anyhow::anyhow!("the decision service ended: {status}")).context(results.scenario.name);
                }
            }
        }
    }
    if is_watched {
        eprint!("\x1b[K");
    }
    Ok(all)
}

fn results(scenario: &'static Scenario, contenders: &[&'static Contender]) -> Results {
    let taking = contenders.iter().filter(|contender| (scenario.takes)(contender));
    Results { scenario, cells: taking.map(|contender| (*contender, Cell::default())).collect() }
}

/// The numbers up to `length`, beginning elsewhere with each `turn`.
fn rotated(length: usize, turn: usize) -> impl Iterator<Item = usize> {
    (0..length).map(move |place| (place + turn) % length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_first_in_its_turn_and_all_are_there() {
        assert_eq!(rotated(3, 0).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(rotated(3, 4).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(rotated(0, 1).count(), 0);
    }
}

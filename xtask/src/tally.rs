//! How often courses were disturbed, and what came of it: the table that `test`, `crash` and `soak`
//! end with, also where something broke.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::course::Step;
use crate::engine::Engine;

/// How often a process was killed, by step.
#[derive(Clone, Default, Debug)]
pub struct Kills {
    /// Whole courses.
    pub courses: u64,
    /// Kills in each step of them.
    pub steps: BTreeMap<Step, u64>,
}

impl Kills {
    /// In all steps.
    pub fn total(&self) -> u64 {
        self.steps.values().sum()
    }
}

/// How often a connection was cut.
#[derive(Clone, Default, Debug)]
pub struct Cuts {
    /// All of them.
    pub total: u64,
    /// Of these, between COMMIT and its reply, or such that the client cannot tell.
    pub at_commit: u64,
    /// Whole courses.
    pub courses: u64,
    /// Runs of the binary in them.
    pub runs: u64,
}

/// What befell one system on one engine.
#[derive(Clone, Debug)]
pub struct Tally {
    pub system: &'static str,
    pub engine: Engine,
    pub kills: Kills,
    pub cuts: Cuts,
    /// Courses that did not end as if nothing had happened.
    pub breaks: u64,
    pub time: Duration,
}

impl Tally {
    pub fn new(system: &'static str, engine: Engine) -> Self {
        let (kills, cuts) = (Kills::default(), Cuts::default());
        Self { system, engine, kills, cuts, breaks: 0, time: Duration::ZERO }
    }

    fn cells(&self) -> [String; 8] {
        let Self { system, engine, kills, cuts, breaks, time } = self;
        // A file has no connections.
        let of_cuts = |count: u64| match engine {
            Engine::Sqlite => "–".to_owned(),
            Engine::Postgres | Engine::Mysql => count.to_string(),
        };
        [
            (*system).to_owned(),
            engine.to_string(),
            (kills.courses + cuts.courses).to_string(),
            kills.total().to_string(),
            of_cuts(cuts.total),
            of_cuts(cuts.at_commit),
            breaks.to_string(),
            format!("{:.0}", time.as_secs_f64()),
        ]
    }
}

const HEAD: [&str; 8] =
    ["system", "engine", "courses", "kills", "cuts", "at COMMIT", "breaks", "seconds"];

/// The table, and how the kills are spread over the steps.
pub fn table(tallies: &[Tally]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(tallies.iter().map(Tally::cells));
    lines.push(sums(tallies));
    let mut text = String::new();
    for [system, engine, numbers @ ..] in &lines {
        text.push_str(&format!("{system:<10} {engine:<9}"));
        for (number, head) in numbers.iter().zip(&HEAD[2..]) {
            let width = head.len().max(7);
            text.push_str(&format!(" {number:>width$}"));
        }
        text.push('\n');
    }
    let mut steps: BTreeMap<Step, u64> = BTreeMap::new();
    for (step, kills) in tallies.iter().flat_map(|tally| &tally.kills.steps) {
        *steps.entry(*step).or_default() += kills;
    }
    let steps: Vec<String> =
        steps.iter().map(|(step, kills)| format!("{} {kills}", step.name())).collect();
    text.push_str(&format!("kills by step: {}\n", steps.join(", ")));
    text
}

fn sums(tallies: &[Tally]) -> [String; 8] {
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>().to_string();
    let time: Duration = tallies.iter().map(|tally| tally.time).sum();
    [
        "all".to_owned(),
        String::new(),
        sum(|tally| tally.kills.courses + tally.cuts.courses),
        sum(|tally| tally.kills.total()),
        sum(|tally| tally.cuts.total),
        sum(|tally| tally.cuts.at_commit),
        sum(|tally| tally.breaks),
        format!("{:.0}", time.as_secs_f64()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_has_a_line_and_files_have_no_cuts() {
        let mut file = Tally::new("content", Engine::Sqlite);
        file.kills = Kills { courses: 2, steps: [(Step::Migrate, 12), (Step::Again, 3)].into() };
        let mut server = Tally::new("content", Engine::Postgres);
        server.kills = Kills { courses: 1, steps: [(Step::Migrate, 30)].into() };
        server.cuts = Cuts { total: 9, at_commit: 5, courses: 2, runs: 11 };
        server.breaks = 1;
        server.time = Duration::from_millis(12_700);
        assert_eq!(
            table(&[file, server]),
            "\
system     engine    courses   kills    cuts at COMMIT  breaks seconds
content    sqlite          2      15       –         –       0       0
content    postgres        3      30       9         5       1      13
all                        5      45       9         5       1      13
kills by step: migrate 42, retry of all 3
"
        );
    }
}

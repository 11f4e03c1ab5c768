//! Pictures as inline SVG: where records went, where time went, how fast, what to mend first.

use std::fmt::Write as _;

use super::axis::Axis;
use super::escaped;
use crate::report::{Circumstances, Outcome, PacePoint, Rejects};
use crate::shown::{self, count, counted, percent, rate, seconds};

/// Width of every picture in its own units; the page scales it.
const WIDTH: f64 = 900.0;

/// A picture with its title, its description and a line below it.
struct Picture {
    name: &'static str,
    title: &'static str,
    description: String,
    height: f64,
    body: String,
}

impl Picture {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.body.write_fmt(text).expect("a String takes every character");
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{}</text>",
            escaped(text)
        ));
    }

    fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, class: &str, title: &str) {
        self.put(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" class=\"{class}\"><title>{}</title></rect>",
            escaped(title)
        ));
    }

    fn figure(self, caption: &str) -> String {
        let Self { name, title, description, height, body } = self;
        format!(
            "<figure><svg viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=\"img\" aria-labelledby=\"{name}-t {name}-d\">\
             <title id=\"{name}-t\">{title}</title><desc id=\"{name}-d\">{}</desc>{body}</svg>\
             <figcaption>{caption}</figcaption></figure>",
            escaped(&description)
        )
    }
}

/// A label of at most `max` characters.
fn short(text: &str, max: usize) -> String {
    if text.chars().count() <= max { text.to_owned() } else { shown::shown(text, max - 1) }
}

/// Tables that the flow draws apart.
const FLOW_TABLES: usize = 10;

/// A node of the flow: its name, its amount, its place.
struct Node {
    name: String,
    class: &'static str,
    amount: u64,
    top: f64,
    height: f64,
}

/// Records from tables to what became of them.
pub(super) fn flow(outcome: &Outcome) -> String {
    let classes: Vec<(&str, u64)> = outcome
        .units
        .classes()
        .into_iter()
        .map(|(name, figure)| (name, figure.count))
        .filter(|(_, amount)| *amount > 0)
        .collect();
    if classes.is_empty() {
        return "<p>Nothing was read yet.</p>".to_owned();
    }
    let (names, amounts) = flow_tables(outcome);
    let lefts = names.iter().map(|(name, amount)| (name.clone(), "read", *amount)).collect();
    let rights =
        classes.iter().map(|(name, amount)| ((*name).to_owned(), *name, *amount)).collect();
    let (left, height_left) = column(lefts);
    let (right, height_right) = column(rights);
    let mut picture = Picture {
        name: "flow",
        title: "Where the records went",
        description: describe_flow(outcome),
        height: height_left.max(height_right) + 20.0,
        body: String::new(),
    };
    ribbons(&mut picture, &left, &right, &amounts);
    for node in &left {
        let label = format!("{} {}", short(&node.name, 20), count(node.amount));
        picture.bar(
            232.0,
            node.top,
            12.0,
            node.height,
            "read node",
            &format!("{}: {}", node.name, count(node.amount)),
        );
        picture.text(224.0, node.top + node.height / 2.0 + 4.5, "e", &label);
    }
    for node in &right {
        let share = percent(node.amount, outcome.units.read.count);
        let label = format!("{} {} ({share})", node.name, count(node.amount));
        picture.bar(636.0, node.top, 12.0, node.height, &format!("{} node", node.class), &label);
        picture.text(656.0, node.top + node.height / 2.0 + 4.5, "", &label);
    }
    picture.figure("Left: records read per table. Right: what became of them; thin bands are widened to be seen. The tables below hold the figures.")
}

/// Name and amount of each table drawn, and its amount per class that occurs.
fn flow_tables(outcome: &Outcome) -> (Vec<(String, u64)>, Vec<Vec<u64>>) {
    let occurs: Vec<usize> =
        (0..6).filter(|&class| outcome.units.classes()[class].1.count > 0).collect();
    let mut tables: Vec<_> =
        outcome.tables.shown.iter().filter(|table| table.units.read.count > 0).collect();
    tables.sort_by_key(|table| std::cmp::Reverse(table.units.read.count));
    let mut names = Vec::new();
    let mut amounts = Vec::new();
    for table in tables.iter().take(FLOW_TABLES) {
        names.push((table.table.clone(), table.units.read.count));
        amounts.push(
            occurs.iter().map(|&class| table.units.classes()[class].1.count).collect::<Vec<u64>>(),
        );
    }
    let drawn: u64 = names.iter().map(|(_, amount)| amount).sum();
    let rest = outcome.units.read.count.saturating_sub(drawn);
    if rest > 0 {
        let tables = outcome.tables.shown.len() as u64 + outcome.tables.more - names.len() as u64;
        names.push((counted(tables, "more table"), rest));
        let all = occurs.iter().enumerate().map(|(at, &class)| {
            let drawn: u64 = amounts.iter().map(|row| row[at]).sum();
            outcome.units.classes()[class].1.count.saturating_sub(drawn)
        });
        amounts.push(all.collect());
    }
    (names, amounts)
}

fn describe_flow(outcome: &Outcome) -> String {
    let classes = outcome.units.classes().into_iter().filter(|(_, figure)| figure.count > 0);
    let classes: Vec<String> =
        classes.map(|(name, figure)| format!("{} {name}", count(figure.count))).collect();
    format!("Of {} read, {}.", counted(outcome.units.read.count, "record"), classes.join(", "))
}

/// Nodes below one another: at least 3 high, their labels at least 22 apart.
fn column(entries: Vec<(String, &'static str, u64)>) -> (Vec<Node>, f64) {
    let total: u64 = entries.iter().map(|(.., amount)| amount).sum();
    let mut top = 10.0;
    let mut nodes = Vec::new();
    for (name, class, amount) in entries {
        let height = (amount as f64 / total.max(1) as f64 * 190.0).max(3.0);
        let slot = height.max(16.0);
        nodes.push(Node { name, class, amount, top: top + (slot - height) / 2.0, height });
        top += slot + 8.0;
    }
    (nodes, top)
}

fn ribbons(picture: &mut Picture, left: &[Node], right: &[Node], amounts: &[Vec<u64>]) {
    let mut arrived = vec![0u64; right.len()];
    for (from, row) in left.iter().zip(amounts) {
        let mut gone = 0u64;
        for (class, &amount) in row.iter().enumerate() {
            let to = &right[class];
            if amount == 0 {
                continue;
            }
            let edge = |node: &Node, before: u64| {
                node.top + node.height * before as f64 / node.amount.max(1) as f64
            };
            let (a, b) = (edge(from, gone), edge(from, gone + amount));
            let (c, d) = (edge(to, arrived[class]), edge(to, arrived[class] + amount));
            picture.put(format_args!(
                "<path class=\"ribbon {}\" d=\"M244 {a:.1}C440 {a:.1} 440 {c:.1} 636 {c:.1}V{d:.1}C440 {d:.1} 440 {b:.1} 244 {b:.1}Z\"><title>{}</title></path>",
                to.class,
                escaped(&format!("{}: {} {}", from.name, to.name, count(amount)))
            ));
            gone += amount;
            arrived[class] += amount;
        }
    }
}

/// Phases that the timeline draws apart.
const TIMELINE_PHASES: usize = 24;

/// Left and right end of the time axes.
const LEFT: f64 = 200.0;
const RIGHT: f64 = 740.0;

/// Phases over time, with attempts and pauses.
pub(super) fn timeline(circumstances: &Circumstances) -> String {
    let phases = &circumstances.phases.shown;
    if phases.is_empty() {
        return "<p>Nothing was committed yet.</p>".to_owned();
    }
    let mut drawn: Vec<_> = phases.iter().enumerate().collect();
    // The longest ones, in their order.
    drawn.sort_by(|a, b| b.1.active_seconds.total_cmp(&a.1.active_seconds));
    drawn.truncate(TIMELINE_PHASES);
    drawn.sort_by_key(|(index, _)| *index);
    let bottom = 26.0 + drawn.len() as f64 * 24.0;
    let longest = drawn.iter().max_by(|a, b| a.1.active_seconds.total_cmp(&b.1.active_seconds));
    let mut picture = Picture {
        name: "timeline",
        title: "Where the time went",
        description: longest.map_or_else(String::new, |(_, phase)| {
            format!(
                "{} of work; the longest phase is {} with {}.",
                seconds(circumstances.active_seconds),
                phase.name,
                seconds(phase.active_seconds)
            )
        }),
        height: bottom + 28.0,
        body: String::new(),
    };
    let axis = Axis::of(circumstances, LEFT, RIGHT);
    pauses(&mut picture, &axis, 20.0, bottom);
    let whole = (circumstances.active_seconds * 1e6) as u64;
    for (row, (_, phase)) in drawn.iter().enumerate() {
        let y = 26.0 + row as f64 * 24.0;
        let (from, to) = (axis.place(phase.from_seconds), axis.place(phase.to_seconds));
        let share = percent((phase.active_seconds * 1e6) as u64, whole);
        let label = format!("{} · {share}", seconds(phase.active_seconds));
        picture.text(LEFT - 10.0, y + 14.0, "e", &short(&phase.name, 26));
        picture.bar(
            from,
            y + 3.0,
            (to - from).max(1.5),
            15.0,
            "updated node",
            &format!("{}: {label}", phase.name),
        );
        picture.text(RIGHT + 10.0, y + 14.0, "soft", &label);
    }
    time_axis(&mut picture, &axis, bottom);
    let left_out = circumstances.phases.more + (phases.len() - drawn.len()) as u64;
    let more = if left_out > 0 {
        format!(" The {} longest of {} phases.", drawn.len(), count(left_out + drawn.len() as u64))
    } else {
        String::new()
    };
    picture
        .figure(&format!("Bars: time worked per phase, and its share.{}{more}", pause_words(&axis)))
}

fn pause_words(axis: &Axis) -> &'static str {
    let paused = axis.stretches().iter().any(|stretch| stretch.attempt.is_none());
    if paused {
        " Hatched: the run stood still between two attempts; the width of a pause is not to scale."
    } else {
        ""
    }
}

/// Pauses as hatched strips, attempts as dashed lines with their number.
fn pauses(picture: &mut Picture, axis: &Axis, top: f64, bottom: f64) {
    let mut labelled = f64::MIN;
    for stretch in axis.stretches() {
        let Some(attempt) = stretch.attempt else {
            let title = format!("paused for {}", seconds(stretch.to - stretch.from));
            picture.bar(
                stretch.left,
                top,
                stretch.right - stretch.left,
                bottom - top,
                "pause",
                &title,
            );
            hatch(picture, stretch.left, stretch.right, top, bottom);
            continue;
        };
        if axis.stretches().len() == 1 {
            continue;
        }
        picture.put(format_args!(
            "<path class=\"attempt\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>",
            x = stretch.left
        ));
        if stretch.left - labelled > 70.0 {
            picture.text(stretch.left + 3.0, top - 6.0, "soft", &format!("attempt {attempt}"));
            labelled = stretch.left;
        }
    }
}

fn hatch(picture: &mut Picture, left: f64, right: f64, top: f64, bottom: f64) {
    let width = right - left;
    let mut path = String::new();
    let mut y = top + width;
    while y <= bottom {
        write!(path, "M{left:.1} {y:.1}L{right:.1} {:.1}", y - width)
            .expect("a String takes every character");
        y += 7.0;
    }
    if !path.is_empty() {
        picture.put(format_args!("<path class=\"hatch\" d=\"{path}\"/>"));
    }
}

/// The time worked at the start, the middle and the end.
fn time_axis(picture: &mut Picture, axis: &Axis, bottom: f64) {
    picture.put(format_args!("<path class=\"line\" d=\"M{LEFT} {bottom:.1}H{RIGHT}\"/>"));
    let worked = axis.stretches().iter().filter(|stretch| stretch.attempt.is_some());
    let whole: f64 = worked.clone().map(|stretch| stretch.to - stretch.from).sum();
    for (part, class) in [(0.0, ""), (0.25, "m"), (0.5, "m"), (0.75, "m"), (1.0, "e")] {
        let mut left = whole * part;
        let mut place = LEFT;
        for stretch in worked.clone() {
            let time = stretch.to - stretch.from;
            if left <= time {
                place = axis.place(stretch.from + left);
                break;
            }
            left -= time;
        }
        let place = if part == 0.0 { LEFT } else { place };
        picture.put(format_args!("<path class=\"line\" d=\"M{place:.1} {bottom:.1}v5\"/>"));
        picture.text(
            place,
            bottom + 20.0,
            &format!("soft {class}"),
            &if part == 0.0 { "0".to_owned() } else { seconds(whole * part) },
        );
    }
}

/// Units per second over time: the mean of each point, its slowest and fastest batch.
pub(super) fn pace(circumstances: &Circumstances) -> String {
    let pace = &circumstances.pace;
    let (top, bottom) = (24.0, 200.0);
    let axis = Axis::of(circumstances, LEFT, RIGHT);
    // One fast little batch must not flatten the rest: the axis ends at three times the median of
    // what the points reach.
    let mut peaks: Vec<f64> = pace.points.iter().map(|point| point.units_per_second_max).collect();
    peaks.sort_by(f64::total_cmp);
    let typical = peaks.get(peaks.len() / 2).copied().unwrap_or(0.0) * 3.0;
    let most = ceiling(pace.units_per_second_max.min(typical).max(1e-9));
    let height = |per_second: f64| bottom - (per_second / most).min(1.0) * (bottom - top);
    let mut picture = Picture {
        name: "pace",
        title: "How fast the records went",
        description: format!(
            "Units per second over the time worked: {} on average, median {}, fastest batch {}.",
            rate(pace.units_per_second),
            rate(pace.units_per_second_median),
            rate(pace.units_per_second_max)
        ),
        height: bottom + 28.0,
        body: String::new(),
    };
    pauses(&mut picture, &axis, top - 4.0, bottom);
    for part in [0.0, 0.5, 1.0] {
        let y = height(most * part);
        picture.put(format_args!("<path class=\"line\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>"));
        let label = if part == 0.0 { "0".to_owned() } else { format!("{}/s", rate(most * part)) };
        picture.text(LEFT - 10.0, y + 4.5, "e soft", &label);
    }
    band(&mut picture, &axis, &pace.points, height);
    course(&mut picture, &axis, &pace.points, height);
    let median = height(pace.units_per_second_median);
    picture.put(format_args!("<path class=\"median\" d=\"M{LEFT} {median:.1}H{RIGHT}\"/>"));
    picture.text(
        RIGHT + 10.0,
        median + 4.5,
        "soft",
        &format!("median {}/s", rate(pace.units_per_second_median)),
    );
    time_axis(&mut picture, &axis, bottom);
    let cut = if pace.units_per_second_max > most {
        format!(" Faster batches are cut; the fastest made {}/s.", rate(pace.units_per_second_max))
    } else {
        String::new()
    };
    picture.figure(&format!(
        "Line: units per second of neighbouring batches. Shade: from their slowest to their fastest batch.{cut}{}",
        pause_words(&axis)
    ))
}

fn mean(point: &PacePoint) -> f64 {
    if point.active_seconds > 0.0 { point.units as f64 / point.active_seconds } else { 0.0 }
}

fn band(picture: &mut Picture, axis: &Axis, points: &[PacePoint], height: impl Fn(f64) -> f64) {
    let mut path = String::new();
    for point in points.iter().filter(|point| point.batches > 1) {
        let (left, right) = (axis.place(point.from_seconds), axis.place(point.to_seconds));
        let (high, low) = (height(point.units_per_second_max), height(point.units_per_second_min));
        write!(path, "M{left:.1} {high:.1}H{right:.1}V{low:.1}H{left:.1}Z")
            .expect("a String takes every character");
    }
    if !path.is_empty() {
        picture.put(format_args!("<path class=\"band\" d=\"{path}\"/>"));
    }
}

fn course(picture: &mut Picture, axis: &Axis, points: &[PacePoint], height: impl Fn(f64) -> f64) {
    let mut path = String::new();
    let mut end = f64::MIN;
    for point in points.iter().filter(|point| point.active_seconds > 0.0) {
        let (left, right) = (axis.place(point.from_seconds), axis.place(point.to_seconds));
        let y = height(mean(point));
        // The line is broken where the run stood still.
        let step = if point.from_seconds > end + 0.001 { "M" } else { "L" };
        end = point.to_seconds;
        write!(path, "{step}{left:.1} {y:.1}H{right:.1}").expect("a String takes every character");
    }
    if !path.is_empty() {
        picture.put(format_args!("<path class=\"course\" d=\"{path}\"/>"));
    }
}

/// The next of 1, 2, 5, 10, 20, 50 …
fn ceiling(value: f64) -> f64 {
    let magnitude = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    steps.iter().map(|step| step * magnitude).find(|step| *step >= value).unwrap_or(value)
}

/// Causes that the Pareto picture draws apart.
const PARETO_CAUSES: usize = 12;

/// Causes of rejects, most frequent first, and what they add up to.
pub(super) fn pareto(rejects: &Rejects) -> String {
    let drawn: Vec<_> = rejects.groups.shown.iter().take(PARETO_CAUSES).collect();
    let listed: u64 = drawn.iter().map(|group| group.count).sum();
    let rest = rejects.total - listed;
    let mut rows: Vec<(String, u64)> = drawn
        .iter()
        .map(|group| {
            let about = group.column.as_deref().or(group.rule.as_deref()).unwrap_or(&group.table);
            (format!("{} {}", short(&group.code, 10), short(about, 24)), group.count)
        })
        .collect();
    if rest > 0 {
        rows.push(("all other causes".to_owned(), rest));
    }
    let bottom = 10.0 + rows.len() as f64 * 26.0;
    let mut picture = Picture {
        name: "pareto",
        title: "What to mend first",
        description: rows.first().map_or_else(String::new, |(name, amount)| {
            format!(
                "{name} causes {} of {}.",
                percent(*amount, rejects.total),
                counted(rejects.total, "reject")
            )
        }),
        height: bottom + 8.0,
        body: String::new(),
    };
    let (left, right) = (270.0, 680.0);
    picture.put(format_args!(
        "<path class=\"line\" d=\"M{left} 6V{bottom:.1}M{right} 6V{bottom:.1}\"/>"
    ));
    let mut sum = 0;
    let mut line = String::new();
    let mut dots = Vec::new();
    for (row, (name, amount)) in rows.iter().enumerate() {
        let y = 10.0 + row as f64 * 26.0;
        sum += amount;
        let width = (right - left) * *amount as f64 / rejects.total.max(1) as f64;
        picture.text(left - 10.0, y + 15.0, "e", name);
        picture.bar(
            left,
            y + 3.0,
            width.max(1.5),
            17.0,
            "rejected node",
            &format!("{name}: {}", count(*amount)),
        );
        let label = format!("{} · together {}", count(*amount), percent(sum, rejects.total));
        picture.text(right + 12.0, y + 15.0, "soft", &label);
        let x = left + (right - left) * sum as f64 / rejects.total.max(1) as f64;
        let step = if line.is_empty() { "M" } else { "L" };
        write!(line, "{step}{x:.1} {:.1}", y + 11.5).expect("a String takes every character");
        dots.push((x, y + 11.5));
    }
    if rows.len() > 1 {
        picture.put(format_args!("<path class=\"sum\" d=\"{line}\"/>"));
        for (x, y) in dots {
            picture
                .put(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" class=\"dot\"/>"));
        }
    }
    picture.figure("Bars: rejects of a cause, as a part of all. Line: what the causes up to it add up to. The table below holds the figures.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_figure() {
        assert!((ceiling(9_120.0) - 10_000.0).abs() < 1e-6);
        assert!((ceiling(1.2) - 2.0).abs() < 1e-9);
        assert!((ceiling(0.3) - 0.5).abs() < 1e-9);
    }
}

//! CPU per callback, as bars: for the README, on light and on dark.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::{
    ChartBuilder, IntoDrawingArea as _, IntoTextStyle as _, RGBColor, Rectangle, SVGBackend, Text,
};
use plotters::style::{
    Color as _, FontFamily,
    text_anchor::{HPos, Pos, VPos},
};

use crate::{
    contender::{ALL, Contender},
    figures::Figure,
    goals::Medians,
    lab::Scenario,
};

const SIZE: (u32, u32) = (960, 400);
const FONT: u32 = 16;
const SMALL: u32 = 13;

/// Of letters and lines: readable on white and on the dark of code forges.
const INK: RGBColor = RGBColor(118, 131, 144);

/// Of the contenders, in the order in which all of them are.
const COLOURS: [RGBColor; ALL.len()] = [
    RGBColor(47, 129, 247),
    RGBColor(139, 148, 158),
    RGBColor(163, 113, 247),
    RGBColor(41, 163, 152),
    RGBColor(210, 140, 34),
];

/// The part of a scenario's place that is left empty.
const GAP: f64 = 0.15;

/// Draws the CPU time of a callback, with a bar for each contender in each scenario.
pub(super) fn draw(
    file: &Path,
    medians: &impl Medians,
    scenarios: &[&Scenario],
    contenders: &[&Contender],
) -> anyhow::Result<()> {
    // What plotters says borrows from what it draws on.
    try_draw(file, medians, scenarios, contenders).map_err(|error| anyhow!("cannot draw {}: {error}", file.display()))
}

fn try_draw(
    file: &Path,
    medians: &impl Medians,
    scenarios: &[&Scenario],
    contenders: &[&Contender],
) -> Result<(), Box<dyn std::error::Error>> {
    let cpu = |scenario: &Scenario, contender: &Contender| medians.median(scenario, contender, Figure::CpuUs);
    let all = scenarios.iter().flat_map(|scenario| contenders.iter().filter_map(|contender| cpu(scenario, contender)));
    let highest = all.reduce(f64::max).unwrap_or(1.0) * 1.1;
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    let font = |size: u32| (FontFamily::SansSerif, size).into_text_style(&SIZE).color(&INK);
    let legend = 30;
    let (top, area) = area.split_vertically(legend);

    #[allow(clippy::cast_precision_loss, reason = "a handful")]
    let place = |number: usize| number as f64;
    let mut chart = ChartBuilder::on(&area)
        .margin_left(8)
        .margin_right(10)
        .x_label_area_size(28)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..place(scenarios.len()), 0.0..highest)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .axis_style(INK)
        .bold_line_style(INK.mix(0.3))
        .light_line_style(INK.mix(0.0))
        .y_labels(6)
        .y_label_style(font(FONT))
        .axis_desc_style(font(FONT))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .y_desc("CPU per callback (µs)")
        .draw()?;
    let width = (1.0 - GAP) / place(contenders.len());
    let below = font(FONT).pos(Pos::new(HPos::Center, VPos::Top));
    let above = font(SMALL).pos(Pos::new(HPos::Center, VPos::Bottom));
    for (group, scenario) in scenarios.iter().enumerate() {
        for (bar, contender) in contenders.iter().enumerate() {
            let Some(value) = cpu(scenario, contender) else { continue };
            let left = place(group) + GAP / 2.0 + width * place(bar);
            let corners = [(left, 0.0), (left + width * 0.92, value)];
            let number = Text::new(format!("{value:.0}"), (left + width / 2.0, value), above.clone());
            chart.draw_series([Rectangle::new(corners, colour(contender).filled())])?;
            chart.plotting_area().draw(&number)?;
        }
        let (x, y) = chart.backend_coord(&(place(group) + 0.5, 0.0));
        let (left, upper) = area.get_base_pixel();
        area.draw(&Text::new(scenario.name, (x - left, y - upper + 8), below.clone()))?;
    }
    let mut left = 60;
    for contender in contenders {
        top.draw(&Rectangle::new([(left, 10), (left + 12, 22)], colour(contender).filled()))?;
        top.draw(&Text::new(contender.title, (left + 18, 10), font(FONT)))?;
        left += 150;
    }
    top.present()?;
    area.present()?;
    Ok(())
}

fn colour(contender: &Contender) -> RGBColor {
    ALL.iter().zip(COLOURS).find(|(of, _)| of.name == contender.name).map_or(INK, |(_, colour)| colour)
}

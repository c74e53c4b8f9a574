//! Draws the chart in docs/performance.md: the throughput of `kv` as a multiple of Deno's.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::table::{Cell, Table};

const ROW_HEIGHT: u32 = 34;
const WIDTH: u32 = 900;
const LABEL_WIDTH: i32 = 400;
const BAR: RGBColor = RGBColor(38, 110, 168);
const TARGET: RGBColor = RGBColor(190, 60, 40);

pub fn draw(table: &Table, file: &Path) -> Result<()> {
  let bars: Vec<(String, f64, f64)> = table
    .rows
    .iter()
    .filter_map(|row| {
      row.cells.iter().find_map(|cell| match cell {
        Cell::Bound { ratio, bound, .. } => Some((row.what.replace('`', ""), *ratio, *bound)),
        _ => None,
      })
    })
    .collect();
  let height = ROW_HEIGHT * (bars.len() as u32 + 2);
  draw_bars(
    &bars,
    SVGBackend::new(file, (WIDTH, height)).into_drawing_area(),
  )
  .map_err(|error| anyhow!("{}: {error}", file.display()))
}

fn draw_bars(
  bars: &[(String, f64, f64)],
  area: DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
  area.fill(&WHITE)?;
  let text = ("sans-serif", 15).into_font().color(&BLACK);
  let title = "Throughput, times Deno's. The red mark is the least that was asked for.";
  area.draw(&Text::new(title, (12, 10), text.clone()))?;
  // The longest bar fills the width. The scale is a square root, or the shortest would be a line.
  let most = bars.iter().map(|(_, ratio, _)| *ratio).fold(1.0, f64::max);
  let room = f64::from(WIDTH as i32 - LABEL_WIDTH - 80);
  let x = |ratio: f64| LABEL_WIDTH + ((ratio / most).sqrt() * room) as i32;
  let mut top = ROW_HEIGHT as i32 + 8;
  for (what, ratio, bound) in bars {
    let bottom = top + ROW_HEIGHT as i32 - 10;
    area.draw(&Text::new(what.clone(), (12, top + 5), text.clone()))?;
    let corners = [(LABEL_WIDTH, top), (x(*ratio), bottom)];
    area.draw(&Rectangle::new(corners, BAR.filled()))?;
    let mark = [(x(*bound), top - 2), (x(*bound), bottom + 2)];
    area.draw(&PathElement::new(mark, TARGET.stroke_width(3)))?;
    let label = format!("{ratio:.1}×");
    area.draw(&Text::new(
      label,
      (x(ratio.max(*bound)) + 8, top + 5),
      text.clone(),
    ))?;
    top += ROW_HEIGHT as i32;
  }
  area.draw(&Text::new(
    "(square-root scale)",
    (LABEL_WIDTH, top + 4),
    text,
  ))?;
  area.present()
}

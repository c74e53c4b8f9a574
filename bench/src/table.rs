//! Medians, and tables in Markdown, as the pages in docs/ show them.

use serde::Serialize;

pub fn median(mut values: Vec<f64>) -> f64 {
  values.sort_by(f64::total_cmp);
  values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A table: what each row measures, and a value for each column.
#[derive(Serialize)]
pub struct Table {
  pub title: &'static str,
  pub columns: Vec<String>,
  pub rows: Vec<Row>,
}

#[derive(Serialize)]
pub struct Row {
  pub what: String,
  pub cells: Vec<Cell>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum Cell {
  /// Something measured.
  Value(f64),
  /// Something measured, relative to something else.
  Ratio(f64),
  /// Something measured, and the same relative to another column.
  Relative { value: f64, ratio: f64 },
  /// A ratio, the bound it must keep, and whether it does.
  Bound {
    ratio: f64,
    bound: f64,
    is_kept: bool,
  },
  /// Nothing to measure here.
  None,
}

impl Cell {
  pub fn at_least(ratio: f64, bound: f64) -> Self {
    let is_kept = ratio >= bound;
    Self::Bound {
      ratio,
      bound,
      is_kept,
    }
  }

  pub fn at_most(ratio: f64, bound: f64) -> Self {
    let is_kept = ratio <= bound;
    Self::Bound {
      ratio,
      bound,
      is_kept,
    }
  }

  fn show(&self) -> String {
    match self {
      Self::Value(value) => number(*value),
      Self::Relative { value, ratio } => format!("{} ({ratio:.2}×)", number(*value)),
      Self::Ratio(ratio) => format!("{ratio:.2}×"),
      Self::Bound {
        ratio,
        bound,
        is_kept,
      } => {
        let missed = if *is_kept { "" } else { " missed" };
        format!("{ratio:.2}× ({bound}×{missed})")
      }
      Self::None => String::new(),
    }
  }
}

fn number(value: f64) -> String {
  if value < 10.0 {
    format!("{value:.2}")
  } else {
    format!("{value:.1}")
  }
}

impl Table {
  pub fn print(&self) {
    println!("\n{}\n", self.title);
    println!("| | {} |", self.columns.join(" | "));
    println!("| --- |{}", " --- |".repeat(self.columns.len()));
    for row in &self.rows {
      let cells: Vec<String> = row.cells.iter().map(Cell::show).collect();
      println!("| {} | {} |", row.what, cells.join(" | "));
    }
  }
}

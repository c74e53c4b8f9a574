//! Every operation is a span. A process of its own: a subscriber is for all threads of one, or calls of the
//! others would decide whether there are spans.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use kv_ext::KvOptions;
use support::with_kv;

/// Notes the spans that end, and events with the span they are in.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
  fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
    self.0.push_str(&format!(" {field}={value:?}"));
  }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Notes {
  fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
    let mut text = Text(attributes.metadata().name().to_owned());
    attributes.record(&mut text);
    context.span(id).unwrap().extensions_mut().insert(text);
  }

  fn on_close(&self, id: Id, context: Context<'_, S>) {
    let span = context.span(&id).unwrap();
    let text = span.extensions_mut().remove::<Text>().unwrap();
    self.0.lock().unwrap().push(text.0);
  }

  fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
    let mut text = Text(format!("{}:", event.metadata().level()));
    event.record(&mut text);
    let span = context.event_span(event).map(|span| span.name());
    self.0.lock().unwrap().push(format!("{span:?} {}", text.0));
  }
}

#[test]
fn operations_are_spans_errors_are_events() {
  let folder = tempfile::TempDir::new().unwrap();
  let path = folder.path().join("kv");
  let notes = Notes::default();
  let subscriber = tracing_subscriber::registry().with(notes.clone());
  tracing::subscriber::set_global_default(subscriber).unwrap();
  with_kv(KvOptions::default().default_path(&path)).run(
    "const kv = await Deno.openKv();
     await kv.set(['a'], 'text');
     await kv.get(['a']);
     await kv.getMany([['a'], ['b']]);
     try { await kv.atomic().sum(['a'], 1n).commit(); } catch {}
     kv.close();",
  );
  let notes = notes.0.lock().unwrap();
  let ours: Vec<&str> = notes
    .iter()
    .map(String::as_str)
    .filter(|note| note.contains("kv."))
    .collect();
  assert_eq!(ours.len(), 5, "{notes:?}");
  assert_eq!(ours[0], "kv.commit checks=0 mutations=1 messages=0");
  assert_eq!(ours[1], "kv.get");
  assert_eq!(ours[2], "kv.read ranges=2");
  assert!(
    ours[3].starts_with("Some(\"kv.commit\") WARN:"),
    "{}",
    ours[3]
  );
  assert!(ours[3].contains("error="), "{}", ours[3]);
  assert_eq!(ours[4], ours[0]);
}

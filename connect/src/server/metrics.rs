//! Figures for operators, in the format of Prometheus.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Response;
use hyper::body::Body as _;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::call::Call;
use super::databases::Database;
use super::respond::Body;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
  call: Call,
  status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabel {
  call: Call,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DatabaseLabel {
  database: String,
}

type Counters = Family<DatabaseLabel, Counter<u64, AtomicU64>>;
type Gauges = Family<DatabaseLabel, Gauge<i64, AtomicI64>>;
type Seconds = Family<DatabaseLabel, Gauge<f64, AtomicU64>>;

#[derive(Debug)]
pub(super) struct Metrics {
  registry: Registry,
  requests: Family<RequestLabels, Counter>,
  latency: Family<CallLabel, Histogram>,
  received: Counter,
  sent: Counter,
  connections: Gauge,
  watches: Gauge,
  databases: DatabaseMetrics,
}

/// What the stores say, at the moment of the look.
#[derive(Debug, Default)]
struct DatabaseMetrics {
  commits: Counters,
  commit_tasks: Counters,
  checkpoints: Counters,
  commit_seconds: Seconds,
  slowest_commit: Seconds,
  largest_group: Gauges,
  waiting_tasks: Gauges,
  file_bytes: Gauges,
  log_bytes: Gauges,
  cache_bytes: Gauges,
  watchers: Gauges,
  listeners: Gauges,
  queue_waiting: Gauges,
  queue_running: Gauges,
  queue_oldest: Seconds,
}

/// One more of something, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted(Gauge);

impl Counted {
  fn new(gauge: &Gauge) -> Self {
    gauge.inc();
    Self(gauge.clone())
  }
}

impl Drop for Counted {
  fn drop(&mut self) {
    self.0.dec();
  }
}

pub(super) type WatchGauge = Counted;

/// From 50 µs to 10 s.
const BUCKETS: [f64; 16] = [
  0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
  1.0, 2.5, 10.0,
];

impl Metrics {
  pub(super) fn new() -> Self {
    let mut registry = Registry::with_prefix("kv");
    let metrics = Self {
      requests: Family::default(),
      latency: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
      received: Counter::default(),
      sent: Counter::default(),
      connections: Gauge::default(),
      watches: Gauge::default(),
      databases: DatabaseMetrics::default(),
      registry: Registry::default(),
    };
    registry.register(
      "requests",
      "Requests that were answered, by what they asked for",
      metrics.requests.clone(),
    );
    registry.register_with_unit(
      "request_duration",
      "Time from a request's head to its answer, or to the beginning of a watch",
      Unit::Seconds,
      metrics.latency.clone(),
    );
    registry.register_with_unit(
      "received",
      "Bytes of requests on the data path",
      Unit::Bytes,
      metrics.received.clone(),
    );
    registry.register_with_unit(
      "sent",
      "Bytes of answers, without watches",
      Unit::Bytes,
      metrics.sent.clone(),
    );
    registry.register(
      "connections",
      "Connections that are open",
      metrics.connections.clone(),
    );
    registry.register("watches", "Watches of clients", metrics.watches.clone());
    metrics.databases.register(&mut registry);
    Self {
      registry,
      ..metrics
    }
  }

  pub(super) fn answered(&self, call: Call, response: &Response<Body>, took: Duration) {
    let labels = RequestLabels {
      call,
      status: response.status().as_u16(),
    };
    self.sent.inc_by(response.body().size_hint().lower());
    self.requests.get_or_create(&labels).inc();
    let latency = self.latency.get_or_create(&CallLabel { call });
    latency.observe(took.as_secs_f64());
  }

  pub(super) fn received(&self, bytes: usize) {
    self.received.inc_by(bytes as u64);
  }

  pub(super) fn connection(&self) -> Counted {
    Counted::new(&self.connections)
  }

  pub(super) fn watch(&self) -> WatchGauge {
    Counted::new(&self.watches)
  }

  /// All figures, as text.
  pub(super) async fn text(&self, databases: Vec<Arc<Database>>) -> Result<String, String> {
    for database in databases {
      self.databases.look(&database).await;
    }
    let mut text = String::new();
    encode(&mut text, &self.registry).map_err(|error| error.to_string())?;
    Ok(text)
  }
}

impl DatabaseMetrics {
  fn register(&self, registry: &mut Registry) {
    registry.register(
      "commits",
      "Transactions that were committed",
      self.commits.clone(),
    );
    registry.register(
      "commit_tasks",
      "Writes, deliveries and other tasks in these transactions",
      self.commit_tasks.clone(),
    );
    registry.register(
      "checkpoints",
      "Checkpoints that were made",
      self.checkpoints.clone(),
    );
    let gauges = [
      (
        "largest_group",
        "The most tasks in one transaction",
        &self.largest_group,
      ),
      (
        "waiting_tasks",
        "Tasks that wait to be committed",
        &self.waiting_tasks,
      ),
      ("file_bytes", "Size of the database", &self.file_bytes),
      (
        "log_bytes",
        "Size of the write-ahead log after the last commit",
        &self.log_bytes,
      ),
      (
        "cache_bytes",
        "Page caches of idle read connections",
        &self.cache_bytes,
      ),
      (
        "watchers",
        "Watchers of the store, those of clients among them",
        &self.watchers,
      ),
      (
        "listeners",
        "Listeners of the queue in this process",
        &self.listeners,
      ),
      (
        "queue_waiting",
        "Messages that wait, up to 100,000",
        &self.queue_waiting,
      ),
      (
        "queue_running",
        "Messages that are being delivered, up to 100,000",
        &self.queue_running,
      ),
    ];
    for (name, help, gauge) in gauges {
      registry.register(name, help, gauge.clone());
    }
    let seconds = [
      (
        "commit_duration_sum",
        "Time that all commits took together, syncs included",
        &self.commit_seconds,
      ),
      (
        "slowest_commit",
        "Time that the slowest commit took",
        &self.slowest_commit,
      ),
      (
        "queue_oldest",
        "How long the first message has been due",
        &self.queue_oldest,
      ),
    ];
    for (name, help, gauge) in seconds {
      registry.register_with_unit(name, help, Unit::Seconds, gauge.clone());
    }
  }

  async fn look(&self, database: &Database) {
    let label = DatabaseLabel {
      database: database.name.clone().unwrap_or_else(|| "/".into()),
    };
    let stats = database.writes.stats();
    let set = |counters: &Counters, value: u64| {
      let counter = counters.get_or_create(&label);
      counter.inner().store(value, Ordering::Relaxed);
    };
    set(&self.commits, stats.commits);
    set(&self.commit_tasks, stats.tasks);
    set(&self.checkpoints, stats.checkpoints);
    let gauge = |gauges: &Gauges, value: u64| {
      let value = i64::try_from(value).unwrap_or(i64::MAX);
      gauges.get_or_create(&label).set(value);
    };
    gauge(&self.largest_group, stats.largest_group);
    gauge(&self.waiting_tasks, stats.waiting_tasks);
    gauge(&self.log_bytes, stats.log_bytes);
    gauge(&self.cache_bytes, stats.cache_bytes);
    gauge(&self.watchers, stats.watchers);
    gauge(&self.listeners, stats.listeners);
    let seconds = |gauges: &Seconds, value: f64| {
      gauges.get_or_create(&label).set(value);
    };
    seconds(&self.commit_seconds, stats.commit_time.as_secs_f64());
    seconds(&self.slowest_commit, stats.slowest_commit.as_secs_f64());
    match database.reads.usage().wait().await {
      Ok(usage) => {
        gauge(&self.file_bytes, usage.bytes);
        gauge(&self.queue_waiting, usage.waiting_messages);
        gauge(&self.queue_running, usage.running_messages);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let due = usage.first_due_at.map(Duration::from_millis);
        let age = due.and_then(|due| now.unwrap_or_default().checked_sub(due));
        seconds(&self.queue_oldest, age.unwrap_or_default().as_secs_f64());
      }
      Err(error) => {
        tracing::warn!(target: "kv_connect", %error, "a database's size can't be read");
      }
    }
  }
}

use std::future::Future;
use std::rc::Rc;

use deno_core::{op2, v8};
use kv_store::engine::{AtomicWrite, Check, CommitOutcome, Mutation, MutationKind};
use kv_store::{KvError, Versionstamp};

use super::codec::Codec;
use super::handle::{Handle, HandleObject};
use super::protocol::{CHECK_FIELDS, DELETE, ENQUEUE_FIELDS, MAX, MIN, MUTATION_FIELDS, SET, SUM};
use super::queue;
use super::{key, rethrow, value};
use crate::error::{ClassedError, OpError};

/// The last millisecond that Deno can express: the end of the year 262142.
const LAST_EXPIRY_MS: f64 = 8_210_266_876_799_999.0;

/// Sets one key; `kind` says what `value` is. Returns what `op_kv_commit` does.
#[op2(reentrant)]
pub fn op_kv_set<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  #[cppgc] handle: &HandleObject,
  key: v8::Local<'s, v8::Value>,
  #[smi] kind: i32,
  value: v8::Local<'s, v8::Value>,
  expire_in: v8::Local<'s, v8::Value>,
  versionstamp_symbol: v8::Local<'s, v8::Value>,
  codec: v8::Local<'s, v8::Object>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let handle = handle.0.clone();
  v8::tc_scope!(let scope, scope);
  let result = value::from_v8(scope, kind, value, &Codec::new(codec)).and_then(|value| {
    let set = SetArguments {
      expire_in,
      versionstamp_symbol,
      now_ms: handle.clock.now_ms(),
    };
    let mutation = set.mutation(scope, key, value)?;
    let write = AtomicWrite {
      mutations: vec![mutation],
      ..AtomicWrite::default()
    };
    submit(scope, &handle, write)
  });
  rethrow(scope, result)
}

/// Commits an atomic operation. Returns the versionstamp, null if a check failed, or a ticket for
/// `op_kv_try_commit` and `op_kv_wait_commit`.
#[op2(reentrant)]
pub fn op_kv_commit<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  #[cppgc] handle: &HandleObject,
  checks: v8::Local<'s, v8::Array>,
  mutations: v8::Local<'s, v8::Array>,
  enqueues: v8::Local<'s, v8::Array>,
  versionstamp_symbol: v8::Local<'s, v8::Value>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let handle = handle.0.clone();
  v8::tc_scope!(let scope, scope);
  let result = commit(
    scope,
    &handle,
    checks,
    mutations,
    enqueues,
    versionstamp_symbol,
  );
  rethrow(scope, result)
}

fn commit<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  handle: &Handle,
  checks: v8::Local<'s, v8::Array>,
  mutations: v8::Local<'s, v8::Array>,
  enqueues: v8::Local<'s, v8::Array>,
  versionstamp_symbol: v8::Local<'s, v8::Value>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let check_count = checks.length() / CHECK_FIELDS;
  let mutation_count = mutations.length() / MUTATION_FIELDS;
  let enqueue_count = enqueues.length() / ENQUEUE_FIELDS;
  handle.limits.check_counts(
    check_count as usize,
    mutation_count as usize + enqueue_count as usize,
  )?;
  let now_ms = handle.clock.now_ms();
  let mut write = AtomicWrite::default();
  for index in 0..check_count {
    let first = index * CHECK_FIELDS;
    write.checks.push(check(scope, checks, first)?);
  }
  for index in 0..mutation_count {
    let first = index * MUTATION_FIELDS;
    write.mutations.push(mutation(
      scope,
      mutations,
      first,
      versionstamp_symbol,
      now_ms,
    )?);
  }
  for index in 0..enqueue_count {
    let first = index * ENQUEUE_FIELDS;
    let enqueue = queue::enqueue(scope, enqueues, first, &handle.limits, now_ms)?;
    write.enqueues.push(enqueue);
  }
  submit(scope, handle, write)
}

fn submit<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  handle: &Handle,
  write: AtomicWrite,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let store = handle.store()?;
  handle.limits.check_write(&write)?;
  match store.atomic_write(write).try_ready() {
    Ok(outcome) => outcome_to_v8(scope, outcome?),
    Err(answer) => {
      let ticket = handle.commits.park(answer);
      Ok(v8::Integer::new_from_unsigned(scope, ticket).into())
    }
  }
}

fn outcome_to_v8<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  outcome: CommitOutcome,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  match outcome {
    CommitOutcome::CheckFailed(_) => Ok(v8::null(scope).into()),
    CommitOutcome::Committed(versionstamp) => value::versionstamp_to_v8(scope, versionstamp),
  }
}

/// Leads the commit under a ticket, if no other write waits: its versionstamp, or null if a check failed.
/// `undefined`: to be waited for.
#[op2]
pub fn op_kv_try_commit<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  #[cppgc] handle: &HandleObject,
  #[smi] ticket: u32,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  match handle.0.commits.try_lead(ticket) {
    Some(outcome) => outcome_to_v8(scope, outcome?),
    None => Ok(v8::undefined(scope).into()),
  }
}

/// Waits for the commit under a ticket: its versionstamp, or null if a check failed.
#[op2]
#[string]
pub fn op_kv_wait_commit(
  #[cppgc] handle: &HandleObject,
  #[smi] ticket: u32,
) -> impl Future<Output = Result<Option<String>, OpError>> + use<> {
  let handle: Rc<Handle> = handle.0.clone();
  async move {
    Ok(match handle.commits.wait(ticket).await? {
      CommitOutcome::Committed(versionstamp) => Some(versionstamp.to_string()),
      CommitOutcome::CheckFailed(_) => None,
    })
  }
}

fn field<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  fields: v8::Local<'s, v8::Array>,
  index: u32,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  fields.get_index(scope, index).ok_or(OpError::Pending)
}

fn check<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  checks: v8::Local<'s, v8::Array>,
  first: u32,
) -> Result<Check, OpError> {
  let key = field(scope, checks, first)?;
  let versionstamp = field(scope, checks, first + 1)?;
  let key = key::encode(scope, key).map_err(|error| match error {
    OpError::Kv(ClassedError(KvError::KeyPartBigInt(_))) => KvError::InvalidCheck.into(),
    error => error,
  })?;
  let versionstamp = if versionstamp.is_null_or_undefined() {
    None
  } else if let Ok(hex) = v8::Local::<v8::String>::try_from(versionstamp) {
    let hex = hex.to_rust_string_lossy(scope);
    Some(
      hex
        .parse::<Versionstamp>()
        .map_err(|_| KvError::InvalidCheck)?,
    )
  } else {
    return Err(OpError::Argument {
      name: "versionstamp",
      expected: "a string or null",
      received: key::type_name(scope, versionstamp),
    });
  };
  Ok(Check { key, versionstamp })
}

fn mutation<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  mutations: v8::Local<'s, v8::Array>,
  first: u32,
  versionstamp_symbol: v8::Local<'s, v8::Value>,
  now_ms: u64,
) -> Result<Mutation, OpError> {
  let key = field(scope, mutations, first)?;
  let mutation_type = field(scope, mutations, first + 1)?.int32_value(scope);
  if mutation_type == Some(DELETE) {
    let key = mutation_key(scope, key)?;
    return Ok(Mutation {
      key,
      kind: MutationKind::Delete,
      expire_at: None,
    });
  }
  let kind = field(scope, mutations, first + 2)?
    .int32_value(scope)
    .unwrap_or_default();
  let value = field(scope, mutations, first + 3)?;
  let value = value::from_frozen(scope, kind, value)?;
  let kind = match mutation_type {
    Some(SUM) => MutationKind::Sum(value),
    Some(MIN) => MutationKind::Min(value),
    Some(MAX) => MutationKind::Max(value),
    _ => {
      debug_assert_eq!(mutation_type, Some(SET));
      let expire_in = field(scope, mutations, first + 4)?;
      return SetArguments {
        expire_in,
        versionstamp_symbol,
        now_ms,
      }
      .mutation(scope, key, value);
    }
  };
  let key = mutation_key(scope, key)?;
  Ok(Mutation {
    key,
    kind,
    expire_at: None,
  })
}

/// What a set needs beside its key and value.
struct SetArguments<'s> {
  expire_in: v8::Local<'s, v8::Value>,
  /// What `commitVersionstamp()` returns: as the last part of a key it stands for the commit's
  /// versionstamp.
  versionstamp_symbol: v8::Local<'s, v8::Value>,
  now_ms: u64,
}

impl<'s> SetArguments<'s> {
  fn mutation(
    &self,
    scope: &mut v8::PinScope<'s, '_>,
    key: v8::Local<'s, v8::Value>,
    value: kv_store::Value,
  ) -> Result<Mutation, OpError> {
    let parts = key::key_array(scope, key)?;
    let (key, kind) = match parts.length().checked_sub(1) {
      Some(last) if field(scope, parts, last)?.strict_equals(self.versionstamp_symbol) => {
        let key = key::encode_parts(scope, parts, last).map_err(invalid_mutation)?;
        (key, MutationKind::SetWithVersionstamp(value))
      }
      _ => (mutation_key(scope, key)?, MutationKind::Set(value)),
    };
    let expire_at = match self.expire_in.number_value(scope) {
      _ if self.expire_in.is_undefined() => None,
      Some(expire_in) if self.now_ms as f64 + expire_in <= LAST_EXPIRY_MS => {
        // Both are non-negative integers that a u64 holds.
        Some(self.now_ms + expire_in as u64)
      }
      expire_in => {
        let expire_in = expire_in.unwrap_or_default() as u64;
        return Err(OpError::InvalidMutation(format!(
          "expireIn is too large: {expire_in}"
        )));
      }
    };
    Ok(Mutation {
      key,
      kind,
      expire_at,
    })
  }
}

fn mutation_key(
  scope: &mut v8::PinScope<'_, '_>,
  key: v8::Local<v8::Value>,
) -> Result<Vec<u8>, OpError> {
  key::encode(scope, key).map_err(invalid_mutation)
}

/// Deno says where a bigint is too large, and only there.
fn invalid_mutation(error: OpError) -> OpError {
  match error {
    OpError::Kv(ClassedError(KvError::KeyPartBigInt(error))) => {
      OpError::InvalidMutation(error.to_string())
    }
    error => error,
  }
}

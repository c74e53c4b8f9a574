use std::future::Future;
use std::num::NonZeroU32;
use std::rc::Rc;

use deno_core::{op2, v8};
use deno_error::JsErrorClass;
use kv_store::engine::{Answer, Consistency, Entries, EntryRef, Held, ReadOptions, ReadRange};
use kv_store::{KvError, Selector, Versionstamp};

use super::codec::{Codec, view_bytes};
use super::handle::{Handle, HandleObject};
use super::key::{self, KeyDecoder, bytes_to_v8};
use super::protocol::ENTRY_FIELDS;
use super::value::versionstamp_to_v8;
use super::{rethrow, value};
use crate::error::{ClassedError, OpError};

/// The range of one key.
fn point(
  scope: &mut v8::PinScope<'_, '_>,
  key: v8::Local<v8::Value>,
) -> Result<ReadRange, OpError> {
  key::encode(scope, key).map(ReadRange::point)
}

/// Reads, if the handle is open and the keys are of a size that may be read. A range's end counts
/// as a key: so a get takes one byte less, as in Deno.
fn read(
  handle: &Handle,
  ranges: Vec<ReadRange>,
  options: ReadOptions,
) -> Result<Answer<Vec<Entries>>, OpError> {
  let store = handle.store()?;
  for range in &ranges {
    handle.limits.check_read_key(&range.start)?;
    handle.limits.check_read_key(&range.end)?;
  }
  Ok(store.snapshot_read(ranges, options))
}

fn read_options(eventual: bool) -> ReadOptions {
  ReadOptions::default().consistency(match eventual {
    true => Consistency::Eventual,
    false => Consistency::Strong,
  })
}

/// Makes what `js/entry.js` makes entries of: key, value, versionstamp, one entry after another in
/// one array. An object literal in JavaScript costs a tenth of an object that is made from here.
struct FlatEntries<'s, 'c> {
  fields: Vec<v8::Local<'s, v8::Value>>,
  keys: KeyDecoder<'s>,
  /// Entries that one commit has written share its versionstamp, and the string for it.
  versionstamp: Option<(Versionstamp, v8::Local<'s, v8::Value>)>,
  codec: &'c Codec<'s>,
}

impl<'s, 'c> FlatEntries<'s, 'c> {
  fn with_capacity(entries: usize, codec: &'c Codec<'s>) -> Self {
    Self {
      fields: Vec::with_capacity(entries * ENTRY_FIELDS),
      keys: KeyDecoder::new(entries),
      versionstamp: None,
      codec,
    }
  }

  fn push(&mut self, scope: &mut v8::PinScope<'s, '_>, entry: EntryRef<'_>) -> Result<(), OpError> {
    let key = match self.keys.decode(scope, entry.key) {
      Ok(key) => key.into(),
      Err(OpError::Kv(ClassedError(KvError::KeyDecode(error)))) => {
        // The bytes, for a list to go on behind them.
        let key = bytes_to_v8(scope, entry.key.to_vec())?.into();
        return self.push_unreadable(scope, key, error.into());
      }
      Err(error) => return Err(error),
    };
    let value = match value::to_v8(scope, entry.value, self.codec) {
      Ok(value) => value,
      Err(error) => {
        let error = error.with_key(entry.key);
        return self.push_unreadable(scope, key, error);
      }
    };
    let versionstamp = match self.versionstamp {
      Some((same, string)) if same == entry.versionstamp => string,
      _ => {
        let string = versionstamp_to_v8(scope, entry.versionstamp)?;
        self.versionstamp = Some((entry.versionstamp, string));
        string
      }
    };
    self.fields.extend([key, value, versionstamp]);
    Ok(())
  }

  /// What a get returns for a key that is not set: the caller's own key.
  fn push_missing(&mut self, scope: &mut v8::PinScope<'s, '_>, key: v8::Local<'s, v8::Value>) {
    let null = v8::null(scope).into();
    self.fields.extend([key, null, null]);
  }

  /// The error in place of the value, and no versionstamp: `js/entry.js` throws it when it comes to the entry,
  /// and the others can be had.
  fn push_unreadable(
    &mut self,
    scope: &mut v8::PinScope<'s, '_>,
    key: v8::Local<'s, v8::Value>,
    error: OpError,
  ) -> Result<(), OpError> {
    let message = v8::String::new(scope, &error.to_string()).ok_or(OpError::Pending)?;
    let error = match &*error.get_class() {
      "RangeError" => v8::Exception::range_error(scope, message),
      _ => v8::Exception::type_error(scope, message),
    };
    let undefined = v8::undefined(scope).into();
    self.fields.extend([key, error, undefined]);
    Ok(())
  }

  fn finish(self, scope: &mut v8::PinScope<'s, '_>) -> v8::Local<'s, v8::Value> {
    v8::Array::new_with_elements(scope, &self.fields).into()
  }
}

/// A store may answer later. Then the caller gets a ticket, to wait with `op_kv_wait_read` and to
/// give to `op_kv_take_read`.
fn park<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  handle: &Handle,
  answer: Answer<Vec<Entries>>,
) -> v8::Local<'s, v8::Value> {
  v8::Integer::new_from_unsigned(scope, handle.reads.park(answer)).into()
}

/// The entry of `key`, flat, or a ticket.
#[op2(reentrant)]
pub fn op_kv_get<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  #[cppgc] handle: &HandleObject,
  key: v8::Local<'s, v8::Value>,
  eventual: bool,
  codec: v8::Local<'s, v8::Object>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let handle = handle.0.clone();
  v8::tc_scope!(let scope, scope);
  let options = read_options(eventual);
  let result = get(scope, &handle, key, options, &Codec::new(codec));
  rethrow(scope, result)
}

fn get<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  handle: &Handle,
  key: v8::Local<'s, v8::Value>,
  options: ReadOptions,
  codec: &Codec<'s>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let (encoded, parts) = key::encode_and_keep(scope, key)?;
  // Also a closed handle is noticed only now: a getter in the key may have closed it.
  let found = {
    let store = handle.store()?;
    // A range's end counts as a key, and is one byte longer.
    handle.limits.check_read_length(encoded.len() + 1)?;
    store.get_at_once(&encoded, options)
  };
  let Some(found) = found else {
    let answer = read(handle, vec![ReadRange::point(encoded)], options)?;
    // An engine that could not answer at once may by now; `js/` takes a ticket for both.
    return Ok(park(scope, handle, answer));
  };
  let fields: [v8::Local<v8::Value>; ENTRY_FIELDS] = match found? {
    Some(held) => {
      let key = match parts {
        Some(parts) => parts.to_array(scope),
        None => KeyDecoder::new(1).decode(scope, &encoded)?.into(),
      };
      let value = value::owned_to_v8(scope, held.value, codec);
      let value = value.map_err(|error| error.with_key(&encoded))?;
      [key, value, versionstamp_to_v8(scope, held.versionstamp)?]
    }
    // The caller's own key.
    None => [key, v8::null(scope).into(), v8::null(scope).into()],
  };
  Ok(v8::Array::new_with_elements(scope, &fields).into())
}

/// The entries of `keys`, flat, in order and from one snapshot, or a ticket.
#[op2(reentrant)]
pub fn op_kv_get_many<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  #[cppgc] handle: &HandleObject,
  keys: v8::Local<'s, v8::Value>,
  eventual: bool,
  codec: v8::Local<'s, v8::Object>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let handle = handle.0.clone();
  v8::tc_scope!(let scope, scope);
  let options = read_options(eventual);
  let result = get_many(scope, &handle, keys, options, &Codec::new(codec));
  rethrow(scope, result)
}

fn get_many<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  handle: &Handle,
  keys: v8::Local<'s, v8::Value>,
  options: ReadOptions,
  codec: &Codec<'s>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let Ok(keys) = v8::Local::<v8::Array>::try_from(keys) else {
    return Err(OpError::Argument {
      name: "keys",
      expected: "an array of keys",
      received: key::type_name(scope, keys),
    });
  };
  let mut asked = Vec::with_capacity(keys.length() as usize);
  let mut ranges = Vec::with_capacity(asked.capacity());
  for index in 0..keys.length() {
    let key = keys.get_index(scope, index).ok_or(OpError::Pending)?;
    ranges.push(point(scope, key)?);
    asked.push(key);
  }
  // After the keys, as in Deno: the first mistake is reported.
  let max = handle.limits.read_ranges;
  if ranges.len() > max {
    return Err(KvError::TooManyRanges(max).into());
  }
  let result = match read(handle, ranges, options)?.try_ready() {
    Ok(result) => result,
    Err(answer) => return Ok(park(scope, handle, answer)),
  };
  let mut entries = FlatEntries::with_capacity(asked.len(), codec);
  for (key, found) in asked.into_iter().zip(result?) {
    match found.first() {
      Some(entry) => entries.push(scope, entry)?,
      None => entries.push_missing(scope, key),
    }
  }
  Ok(entries.finish(scope))
}

/// What watched keys hold, flat. Where one is not set, there is no key either.
pub(super) fn state_to_v8<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  keys: &[Vec<u8>],
  state: &[Option<Held>],
  codec: &Codec<'s>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let mut entries = FlatEntries::with_capacity(keys.len(), codec);
  for (key, held) in keys.iter().zip(state) {
    match held {
      Some(held) => entries.push(
        scope,
        EntryRef {
          key,
          value: held.value.as_ref(),
          versionstamp: held.versionstamp,
        },
      )?,
      None => {
        let undefined = v8::undefined(scope).into();
        entries.push_missing(scope, undefined);
      }
    }
  }
  Ok(entries.finish(scope))
}

/// A key of a selector: `undefined` and `null` mean there is none.
fn selector_key(
  scope: &mut v8::PinScope<'_, '_>,
  key: v8::Local<v8::Value>,
) -> Result<Option<Vec<u8>>, OpError> {
  if key.is_null_or_undefined() {
    return Ok(None);
  }
  key::encode(scope, key).map(Some)
}

fn selector(
  scope: &mut v8::PinScope<'_, '_>,
  prefix: v8::Local<v8::Value>,
  start: v8::Local<v8::Value>,
  end: v8::Local<v8::Value>,
) -> Result<Selector, OpError> {
  let prefix = selector_key(scope, prefix)?;
  let start = selector_key(scope, start)?;
  let end = selector_key(scope, end)?;
  Ok(Selector::new(prefix, start, end)?)
}

/// The next entries of a list, flat, or a ticket.
#[op2(reentrant)]
#[allow(
  clippy::too_many_arguments,
  reason = "an object to carry them would be one more allocation"
)]
pub fn op_kv_list<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  #[cppgc] handle: &HandleObject,
  prefix: v8::Local<'s, v8::Value>,
  start: v8::Local<'s, v8::Value>,
  end: v8::Local<'s, v8::Value>,
  limit: f64,
  reverse: bool,
  #[string] cursor: Option<String>,
  eventual: bool,
  codec: v8::Local<'s, v8::Object>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let handle = handle.0.clone();
  v8::tc_scope!(let scope, scope);
  let codec = Codec::new(codec);
  let result = selector(scope, prefix, start, end).and_then(|selector| {
    // `js/` has checked that it is a positive integer; the conversion saturates.
    let entries = NonZeroU32::new(limit as u32).unwrap_or(NonZeroU32::MIN);
    let page = selector.page(cursor.as_deref(), entries, reverse, &handle.limits)?;
    list(scope, &handle, page, read_options(eventual), &codec)
  });
  rethrow(scope, result)
}

fn list<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  handle: &Handle,
  page: ReadRange,
  options: ReadOptions,
  codec: &Codec<'s>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  match handle
    .store()?
    .snapshot_read(vec![page], options)
    .try_ready()
  {
    Ok(result) => {
      let entries = result?.pop().unwrap_or_default();
      range_to_v8(scope, &entries, codec)
    }
    Err(answer) => Ok(park(scope, handle, answer)),
  }
}

fn range_to_v8<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  range: &Entries,
  codec: &Codec<'s>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let mut entries = FlatEntries::with_capacity(range.len(), codec);
  for entry in range.iter() {
    entries.push(scope, entry)?;
  }
  Ok(entries.finish(scope))
}

/// Waits for the read under a ticket.
#[op2]
pub fn op_kv_wait_read(
  #[cppgc] handle: &HandleObject,
  #[smi] ticket: u32,
) -> impl Future<Output = ()> + use<> {
  let handle: Rc<Handle> = handle.0.clone();
  async move { handle.reads.prepare(ticket).await }
}

/// What the read under a ticket has found: for each range its entries, flat.
#[op2(reentrant)]
pub fn op_kv_take_read<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  #[cppgc] handle: &HandleObject,
  #[smi] ticket: u32,
  codec: v8::Local<'s, v8::Object>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let ranges = handle.0.reads.take(ticket)?;
  v8::tc_scope!(let scope, scope);
  let result = take_read(scope, ranges, &Codec::new(codec));
  rethrow(scope, result)
}

fn take_read<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  ranges: Vec<Entries>,
  codec: &Codec<'s>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  let mut read = Vec::with_capacity(ranges.len());
  for range in ranges {
    read.push(range_to_v8(scope, &range, codec)?);
  }
  Ok(v8::Array::new_with_elements(scope, &read).into())
}

/// Resolves in the event loop's next turn.
#[op2(async(deferred), fast)]
pub async fn op_kv_turn() {}

/// The cursor that continues a list after `boundary`.
#[op2(reentrant)]
pub fn op_kv_cursor<'s>(
  scope: &mut v8::PinScope<'s, '_>,
  prefix: v8::Local<'s, v8::Value>,
  start: v8::Local<'s, v8::Value>,
  end: v8::Local<'s, v8::Value>,
  boundary: v8::Local<'s, v8::Value>,
) -> Result<v8::Local<'s, v8::Value>, OpError> {
  v8::tc_scope!(let scope, scope);
  let cursor = selector(scope, prefix, start, end).and_then(|selector| {
    let boundary = match v8::Local::<v8::Uint8Array>::try_from(boundary) {
      // Of a key that can't be decoded.
      Ok(bytes) => view_bytes(bytes.into()),
      Err(_) => key::encode(scope, boundary)?,
    };
    let cursor = selector.cursor(&boundary)?;
    v8::String::new(scope, &cursor)
      .map(Into::into)
      .ok_or(OpError::Pending)
  });
  rethrow(scope, cursor)
}

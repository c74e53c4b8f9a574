// Entries cross from the ops flat: key, value, versionstamp, one after another in one array.

/** Whether the value, or the key, of the entry can't be read: in place of the value is the error. */
function isUnreadable(fields, index) {
  return fields[index + 2] === undefined;
}

/** The entry whose fields begin at `index`. */
function entryAt(fields, index) {
  if (isUnreadable(fields, index)) throw fields[index + 1];
  return {
    key: fields[index],
    value: fields[index + 1],
    versionstamp: fields[index + 2],
  };
}

export { entryAt, isUnreadable };

// Entries cross from the ops flat: key, value, versionstamp, one after another in one array.

const ENTRY_FIELDS = 3;

/** The entry whose fields begin at `index`. */
function entryAt(fields, index) {
  return {
    key: fields[index],
    value: fields[index + 1],
    versionstamp: fields[index + 2],
  };
}

export { ENTRY_FIELDS, entryAt };

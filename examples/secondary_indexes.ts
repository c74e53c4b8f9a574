// Shows users that are found by id and by e-mail address: two keys for one user, kept in step by an
// atomic operation, so that no reader ever sees one without the other.

interface User {
  id: string;
  email: string;
  name: string;
}

const kv = await Deno.openKv(":memory:");

/** Adds a user; false if the id or the address is taken. */
async function addUser(user: User): Promise<boolean> {
  const byId = ["users", user.id];
  const byEmail = ["users_by_email", user.email];
  const result = await kv.atomic()
    .check({ key: byId, versionstamp: null })
    .check({ key: byEmail, versionstamp: null })
    .set(byId, user)
    .set(byEmail, user.id)
    .commit();
  return result.ok;
}

/** Gives a user another address; retries if somebody changes the user meanwhile. */
async function changeEmail(id: string, email: string): Promise<void> {
  while (true) {
    const old = await kv.get<User>(["users", id]);
    if (old.value === null) throw new Error(`no user ${id}`);
    const result = await kv.atomic()
      .check(old)
      .check({ key: ["users_by_email", email], versionstamp: null })
      .delete(["users_by_email", old.value.email])
      .set(["users_by_email", email], id)
      .set(["users", id], { ...old.value, email })
      .commit();
    if (result.ok) return;
    if ((await kv.get(["users_by_email", email])).value !== null) {
      throw new Error(`${email} is taken`);
    }
  }
}

async function findByEmail(email: string): Promise<User | null> {
  const id = (await kv.get<string>(["users_by_email", email])).value;
  return id === null ? null : (await kv.get<User>(["users", id])).value;
}

console.log(await addUser({ id: "1", email: "ada@example.com", name: "Ada" }));
console.log(await addUser({ id: "2", email: "ada@example.com", name: "Another Ada" }));
await changeEmail("1", "lovelace@example.com");
console.log(await findByEmail("ada@example.com"));
console.log(await findByEmail("lovelace@example.com"));
kv.close();

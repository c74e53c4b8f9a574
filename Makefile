# Two commands: `make run` and `make test`. Both are thin: cargo does the work.
#
# The engine is V8 where its archive is at hand or can be fetched, else QuickJS (scripts/engine);
# ENGINE=v8 or ENGINE=quickjs decides.

FILE ?= examples/getting_started.ts
export ENGINE

.PHONY: run test

# Builds what is needed and runs a script: make run FILE=path/to/script.ts
run:
	@scripts/cargo run --quiet --package kv_runtime -- run $(FILE)

# Every test: Rust, JS, and compatibility with the real Deno and with @deno/kv on Node, which are installed if they are
# missing.
test:
	@if deno=$$(scripts/deno); then export DENO_BIN=$$deno KV_REQUIRE_DENO=1; fi; \
	if node=$$(scripts/node); then export KV_NODE=$$node; fi; \
	scripts/cargo test --workspace

# Builds both engines for release and measures them beside Deno.
.PHONY: bench
bench:
	@deno=$$(scripts/deno) && scripts/bench "$$deno"

# Minutes of torture: kills the writer, races processes, compares random calls with Deno. The seed it
# prints does the same again: make torture ARGS="--seed 7".
.PHONY: torture
torture:
	@deno=$$(scripts/deno) && \
	scripts/cargo build --package kv_runtime && \
	scripts/torture "$$deno" $(ARGS)

# The API reference and the pages of docs/, as a static site in target/docs.
.PHONY: docs
docs:
	@scripts/docs

# Garbage for whatever reads bytes of a file, led by the branches it reaches: make fuzz SECONDS=600
SECONDS ?= 60
.PHONY: fuzz
fuzz:
	@scripts/fuzz $(SECONDS)

# kv_ext beside deno_fetch and deno_net, which bring some 200 crates: not a part of make test.
.PHONY: neighbours
neighbours:
	@scripts/neighbours

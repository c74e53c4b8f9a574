# Two commands: `make run` and `make test`. Both are thin: cargo does the work.

FILE ?= examples/getting_started.ts

.PHONY: run test

# Builds what is needed and runs a script: make run FILE=path/to/script.ts
run:
	@scripts/prepare
	@cargo run --quiet --package kv_runtime -- run $(FILE)

# Every test: Rust, JS, and compatibility with the real Deno, which is installed if it is missing.
test:
	@scripts/prepare
	@if deno=$$(scripts/deno); then DENO_BIN=$$deno KV_REQUIRE_DENO=1 cargo test --workspace; \
	else cargo test --workspace; fi

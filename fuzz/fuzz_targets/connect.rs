#![no_main]

// The first byte chooses who reads the others.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kv_fuzz::connect(bytes));

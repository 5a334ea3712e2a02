#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| peerchat_fuzz::targets::names::check(data));

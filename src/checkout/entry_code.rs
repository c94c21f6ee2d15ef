//! entry_code

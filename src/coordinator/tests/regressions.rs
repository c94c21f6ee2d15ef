//! What once broke, by what broke.

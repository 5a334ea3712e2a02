//! The registry of Peerchat.

//! The real command against the real API.

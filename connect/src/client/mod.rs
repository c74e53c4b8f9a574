//! A remote database as an engine.

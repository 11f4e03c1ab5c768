//! In-memory source and target, for tests and for whoever embeds the crates without a database.

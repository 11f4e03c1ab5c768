//! What every adapter must do, as tests that adapters run on themselves.

//! The in-process HTTP connector: the SDK's requests go straight into a sandbox, in virtual time.

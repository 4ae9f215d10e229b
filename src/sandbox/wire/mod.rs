//! One file per service: a request's bytes to a call on the world, and the reply's bytes back.

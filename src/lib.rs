pub mod account;
pub mod sandbox;

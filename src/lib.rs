pub mod account;
pub mod config;
pub mod sandbox;

pub mod account;
pub mod sandbox;
pub mod script;

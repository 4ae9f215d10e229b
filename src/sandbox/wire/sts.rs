//! STS: who is calling.

use super::Xml;
use super::no_operation;
use crate::sandbox::world::{Fault, World};

pub fn handle(world: &World, operation: &str) -> Result<Xml, Fault> {
    if operation != "GetCallerIdentity" {
        return Err(no_operation(operation, "2011-06-15"));
    }
    let mut xml = Xml::new();
    xml.leaf("Arn", format!("arn:aws:sts::{}:assumed-role/deployer/bgx", world.account))
        .leaf("UserId", "AROASANDBOXSANDBOX000:bgx")
        .leaf("Account", &world.account);
    Ok(xml)
}

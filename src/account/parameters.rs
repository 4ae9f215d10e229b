//! SSM: parameters, and the addresses of instances that its agent reports.

use super::autoscaling::endless;
use super::classify::{Answer, Failure, answer};
use super::pages::Pages;
use super::retry::{Call, Class};
use super::{Account, AccountError, Kind, Parameter};
use aws_sdk_ssm::types as sdk;
use std::collections::{BTreeMap, BTreeSet};

/// GetParameters takes no more names.
const NAMES_MAX: usize = 10;
/// Of DescribeInstanceInformation, whose default is 10.
const PAGE_MAX: i32 = 50;

pub(super) fn call<'a>(operation: &'static str, resource: &'a str, class: Class) -> Call<'a> {
    Call { service: "ssm", operation, resource, class, says: None }
}

/// A page of instance ids with their addresses, and the token of the next.
type AddressPage = (Vec<(String, String)>, Option<String>);

impl Account {
    /// GetParameter: `None` only if AWS says that there is no such parameter.
    pub async fn parameter(&self, name: &str) -> Result<Option<Parameter>, AccountError> {
        let call = call("GetParameter", name, Class::Read);
        let found = self
            .call(call, || async {
                let request = self.ssm.get_parameter().name(name);
                answer(request.send().await)?.read(|out| parameter(out.parameter.ok_or("the reply lacks `Parameter`")?))
            })
            .await;
        match found {
            Ok((_, parameter)) => Ok(Some(parameter)),
            Err(error) if error.code == "ParameterNotFound" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// GetParameter of a SecureString, or of any other, in clear text.
    pub async fn secret(&self, name: &str) -> Result<Option<String>, AccountError> {
        let found = self
            .call(call("GetParameter", name, Class::Read), || async {
                let request = self.ssm.get_parameter().name(name).with_decryption(true);
                answer(request.send().await)?.read(|out| Ok(out.parameter.and_then(|p| p.value).ok_or("the reply lacks `Value`")?))
            })
            .await;
        match found {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.code == "ParameterNotFound" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// GetParameters: one that does not exist is not in the map.
    pub async fn parameters(&self, names: &[&str]) -> Result<BTreeMap<String, Parameter>, AccountError> {
        // AWS rejects a list that names one twice.
        let names: Vec<String> = names.iter().collect::<BTreeSet<_>>().into_iter().map(|n| n.to_string()).collect();
        let mut found = BTreeMap::new();
        for names in names.chunks(NAMES_MAX) {
            let resource = names.join(" ");
            found.extend(self.call(call("GetParameters", &resource, Class::Read), || self.parameters_chunk(names)).await?);
        }
        Ok(found)
    }

    async fn parameters_chunk(&self, names: &[String]) -> Result<Answer<BTreeMap<String, Parameter>>, Failure> {
        let request = self.ssm.get_parameters().set_names(Some(names.to_vec()));
        answer(request.send().await)?.read(|out| {
            let found: BTreeMap<_, _> = out.parameters.unwrap_or_default().into_iter().map(parameter).collect::<Result<_, Failure>>()?;
            let unknown = out.invalid_parameters.unwrap_or_default();
            // Each name must be accounted for, or the reply says less than was asked.
            match names.iter().find(|name| !found.contains_key(*name) && !unknown.contains(name)) {
                Some(name) => Err(format!("the reply says nothing about `{name}`").into()),
                None => Ok(found),
            }
        })
    }

    /// Private addresses of instances, as their SSM agents report them; one without an agent is not in the map.
    pub async fn addresses(&self, instances: &[&str]) -> Result<BTreeMap<String, String>, AccountError> {
        let ids: Vec<String> = instances.iter().collect::<BTreeSet<_>>().into_iter().map(|i| i.to_string()).collect();
        let mut addresses = BTreeMap::new();
        let mut chunks: Vec<Vec<String>> = ids.chunks(PAGE_MAX as usize).map(<[String]>::to_vec).collect();
        while let Some(ids) = chunks.pop() {
            match self.addresses_chunk(&ids).await {
                Ok(found) => addresses.extend(found),
                Err(error) if error.code == "InvalidInstanceId" => chunks.extend(without_strange(ids, &error.message)),
                Err(error) => return Err(error),
            }
        }
        Ok(addresses)
    }

    async fn addresses_chunk(&self, ids: &[String]) -> Result<BTreeMap<String, String>, AccountError> {
        let resource = ids.join(" ");
        let call = call("DescribeInstanceInformation", &resource, Class::Read);
        let (mut addresses, mut pages) = (BTreeMap::new(), Pages::default());
        loop {
            let (page, next) = self.call(pages.next(call), || self.addresses_page(ids, &pages)).await?;
            addresses.extend(page);
            if !pages.go_on(next).map_err(|what| endless(call, what))? {
                return Ok(addresses);
            }
        }
    }

    async fn addresses_page(&self, ids: &[String], pages: &Pages) -> Result<Answer<AddressPage>, Failure> {
        let filter = sdk::InstanceInformationStringFilter::builder().key("InstanceIds").set_values(Some(ids.to_vec())).build();
        let filter = filter.map_err(|e| Failure::new(Kind::Invalid, e.to_string()))?;
        let request = self.ssm.describe_instance_information().filters(filter).max_results(PAGE_MAX);
        answer(request.set_next_token(pages.token.clone()).send().await)?.read(|out| {
            let list = out.instance_information_list.ok_or("the reply lacks `InstanceInformationList`")?;
            let address = |i: sdk::InstanceInformation| Some((i.instance_id?, i.ip_address.filter(|ip| !ip.is_empty())?));
            Ok((list.into_iter().filter_map(address).collect(), out.next_token))
        })
    }

    /// PutParameter with Overwrite: a new one becomes a `String`, an old one keeps its type.
    pub(super) async fn set_parameter(&self, name: &str, value: &str, is_new: bool) -> Result<(), AccountError> {
        let words = format!("{value} {is_new}");
        self.call(call("PutParameter", name, Class::SetAbsolute).saying(&words), || async {
            let kind = is_new.then_some(sdk::ParameterType::String);
            let request = self.ssm.put_parameter().name(name).value(value).overwrite(true).set_type(kind);
            answer(request.send().await)?.read(|out| match out.version {
                ..1 => Err("the reply lacks `Version`".into()),
                1.. => Ok(()),
            })
        })
        .await
    }

    /// DeleteParameter: that it is gone already is as good.
    pub(super) async fn delete_parameter(&self, name: &str) -> Result<(), AccountError> {
        let call = call("DeleteParameter", name, Class::SetAbsolute);
        let done = self.call(call, || async { answer(self.ssm.delete_parameter().name(name).send().await)?.read(|_| Ok(())) }).await;
        match done {
            Err(error) if error.code == "ParameterNotFound" => Ok(()),
            done => done,
        }
    }
}

/// One id that AWS does not know (any more) fails a call for many: what to ask instead. Where the error does not say which one it is,
/// each is asked for itself.
fn without_strange(ids: Vec<String>, message: &str) -> Vec<Vec<String>> {
    let (strange, known): (Vec<String>, Vec<String>) = ids.into_iter().partition(|id| message.contains(id.as_str()));
    match (strange.is_empty(), known.len()) {
        (true, 1) => Vec::new(),
        (true, _) => known.into_iter().map(|id| vec![id]).collect(),
        (false, 0) => Vec::new(),
        (false, _) => vec![known],
    }
}

fn parameter(from: sdk::Parameter) -> Result<(String, Parameter), Failure> {
    let name = from.name.ok_or("a parameter lacks `Name`")?;
    // What is read goes into a journal, where a secret has no business; its ciphertext would not do for taking back either.
    if from.r#type == Some(sdk::ParameterType::SecureString) {
        return Err(Failure::new(Kind::Invalid, format!("`{name}` is a SecureString, and secrets are neither read nor written")));
    }
    let value = from.value.ok_or_else(|| format!("`{name}` lacks `Value`"))?;
    // Versions count from 1; the SDK puts 0 where there is none.
    let version = u64::try_from(from.version).ok().filter(|v| *v > 0).ok_or_else(|| format!("`{name}` lacks `Version`"))?;
    Ok((name, Parameter { value, version }))
}

#[cfg(test)]
mod tests {
    use super::without_strange;

    #[test]
    fn an_instance_that_has_gone_hides_no_other_one() {
        let ids = |ids: &[&str]| ids.iter().map(|id| id.to_string()).collect::<Vec<_>>();
        let asked = ids(&["i-1", "i-2", "i-3"]);
        assert_eq!(without_strange(asked.clone(), "Instance id i-2 is not valid"), [ids(&["i-1", "i-3"])]);
        assert_eq!(without_strange(asked, "not valid"), [ids(&["i-1"]), ids(&["i-2"]), ids(&["i-3"])]);
        assert!(without_strange(ids(&["i-1"]), "Instance id i-1 is not valid").is_empty());
        assert!(without_strange(ids(&["i-1"]), "not valid").is_empty());
    }
}

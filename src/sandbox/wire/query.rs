//! Parameters of an awsQuery request: flat dotted names, read as values, lists and nested structures.

use crate::sandbox::world::Fault;
use std::collections::BTreeMap;

/// The parameters of a request, or of one structure inside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form(BTreeMap<String, String>);

impl Form {
    pub fn parse(body: &[u8]) -> Form {
        Form(form_urlencoded::parse(body).into_owned().collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them.
    pub fn values(&self) -> impl Iterator<Item = &String> {
        self.0.values()
    }

    pub fn required(&self, name: &str) -> Result<&str, Fault> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| invalid("null", name, "Member must not be null"))
    }

    pub fn number(&self, name: &str) -> Result<Option<u32>, Fault> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse::<i64>() {
            Ok(n) if n < 0 => Err(invalid(&format!("'{n}'"), name, "Member must have value greater than or equal to 0")),
            Ok(n) => u32::try_from(n)
                .map(Some)
                .map_err(|_| invalid(&format!("'{n}'"), name, "Member must have value less than or equal to 2147483647")),
            Err(_) => Err(Fault::new(400, "MalformedInput", format!("`{text}` is not a number ({name})"))),
        }
    }

    /// A number between two bounds, or `default` when it is not given.
    pub fn bounded(&self, name: &str, default: u32, low: u32, high: u32) -> Result<u32, Fault> {
        let n = self.number(name)?.unwrap_or(default);
        if n < low {
            return Err(invalid(&format!("'{n}'"), name, &format!("Member must have value greater than or equal to {low}")));
        }
        if n > high {
            return Err(invalid(&format!("'{n}'"), name, &format!("Member must have value less than or equal to {high}")));
        }
        Ok(n)
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => Err(Fault::new(400, "MalformedInput", format!("`{text}` is not a boolean ({name})"))),
        }
    }

    /// `Names.member.1=a&Names.member.2=b`, in the order of the numbers.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.items(name).into_iter().filter_map(|mut item| item.0.remove("")).collect()
    }

    /// The structures of a list: `Targets.member.1.Id=a&Targets.member.1.Port=80`. A plain value stands under the empty name.
    pub fn items(&self, name: &str) -> Vec<Form> {
        let prefix = format!("{name}.member.");
        let mut items: BTreeMap<u32, Form> = BTreeMap::new();
        for (key, value) in self.under_prefix(&prefix) {
            let (index, rest) = key.split_once('.').unwrap_or((key, ""));
            if let Ok(index) = index.parse() {
                items.entry(index).or_default().0.insert(rest.to_owned(), value.clone());
            }
        }
        items.into_values().collect()
    }

    /// The structure `name`: `ForwardConfig.TargetGroups…` without `ForwardConfig.`.
    pub fn under(&self, name: &str) -> Option<Form> {
        let prefix = format!("{name}.");
        let inner: BTreeMap<String, String> = self.under_prefix(&prefix).map(|(key, value)| (key.to_owned(), value.clone())).collect();
        (!inner.is_empty()).then_some(Form(inner))
    }

    /// Refuses parameters that the sandbox does not act on: to accept and ignore them would be a success that is not true.
    pub fn only(&self, names: &[&str]) -> Result<(), Fault> {
        for key in self.0.keys() {
            let top = key.split('.').next().unwrap_or(key);
            if !names.contains(&top) && !["Action", "Version"].contains(&top) {
                return Err(not_simulated(top));
            }
        }
        Ok(())
    }

    fn under_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a String)> {
        self.0.range(prefix.to_owned()..).map_while(move |(key, value)| Some((key.strip_prefix(prefix)?, value)))
    }
}

/// The fault for a parameter that AWS has and the sandbox has not.
pub fn not_simulated(what: &str) -> Fault {
    Fault::new(400, "NotSimulated", format!("the sandbox does not simulate `{what}` in this call"))
}

/// AWS's constraint message, with the member's name as the services write it.
pub fn invalid(value: &str, name: &str, constraint: &str) -> Fault {
    let mut letters = name.chars();
    let member: String = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
    Fault::new(
        400,
        "ValidationError",
        format!("1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: {constraint}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::parse(text.as_bytes())
    }

    #[test]
    fn lists_keep_the_order_of_their_numbers() {
        let f = form("N.member.10=c&N.member.2=b&N.member.1=a%20x");
        assert_eq!(f.list("N"), ["a x", "b", "c"]);
        assert!(form("N=").list("N").is_empty());
    }

    #[test]
    fn nested_structures_are_read_level_by_level() {
        let f =
            form("A.member.1.Type=forward&A.member.1.F.G.member.1.Arn=x&A.member.1.F.G.member.1.Weight=0&A.member.1.F.G.member.2.Arn=y");
        let action = &f.items("A")[0];
        assert_eq!(action.get("Type"), Some("forward"));
        let groups = action.under("F").expect("it is there").items("G");
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].number("Weight").expect("a number"), Some(0));
        assert_eq!(groups[1].get("Arn"), Some("y"));
        assert_eq!(action.under("None"), None);
    }

    #[test]
    fn numbers_and_bounds_have_awss_messages() {
        let f = form("MinSize=-1&MaxRecords=101&X=abc");
        assert_eq!(
            f.number("MinSize").unwrap_err().message,
            "1 validation error detected: Value '-1' at 'minSize' failed to satisfy constraint: Member must have value greater than or equal to 0"
        );
        assert!(f.bounded("MaxRecords", 50, 1, 100).unwrap_err().message.ends_with("less than or equal to 100"));
        assert_eq!(f.number("X").unwrap_err().code, "MalformedInput");
        assert_eq!(f.bounded("Absent", 50, 1, 100), Ok(50));
        assert_eq!(f.required("Absent").unwrap_err().code, "ValidationError");
    }

    #[test]
    fn a_parameter_that_is_not_simulated_is_refused() {
        let f = form("Action=A&Version=1&Name=x&Placement.Group=y");
        assert_eq!(f.only(&["Name", "Placement"]), Ok(()));
        assert_eq!(f.only(&["Name"]).unwrap_err().code, "NotSimulated");
    }
}

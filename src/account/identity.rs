//! Who we are: STS.

use super::classify::answer;
use super::retry::{Call, Class};
use super::{Account, AccountError, Identity};

impl Account {
    /// GetCallerIdentity.
    pub async fn identity(&self) -> Result<Identity, AccountError> {
        self.caller(Class::Read).await
    }

    /// GetCallerIdentity, sent once: who opens a target wants to know soon that it is not there.
    pub async fn identity_once(&self) -> Result<Identity, AccountError> {
        self.caller(Class::Probe).await
    }

    async fn caller(&self, class: Class) -> Result<Identity, AccountError> {
        let call = Call { service: "sts", operation: "GetCallerIdentity", resource: "caller", class, says: None };
        self.call(call, || async {
            answer(self.sts.get_caller_identity().send().await)?.read(|out| {
                let account = out.account.ok_or("the reply lacks `Account`")?;
                Ok(Identity { account, arn: out.arn.ok_or("the reply lacks `Arn`")? })
            })
        })
        .await
    }
}
